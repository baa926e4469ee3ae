package streams;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.avro.Conversions;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.DecoderFactory;

/** Avro, by the writer's schema; decimals are numbers, and names the same in any case, as in SQL. */
final class AvroDecoder implements PayloadDecoder {
    private static final GenericData DATA = new GenericData();

    static {
        DATA.addLogicalTypeConversion(new Conversions.DecimalConversion());
    }

    private final GenericDatumReader<GenericRecord> reader;
    private final Map<String, String> names = new TreeMap<>(String.CASE_INSENSITIVE_ORDER);

    AvroDecoder(String text) {
        Schema schema = new Schema.Parser().parse(text);
        reader = new GenericDatumReader<>(schema, schema, DATA);
        List<Schema> branches = schema.isUnion() ? schema.getTypes() : List.of(schema);
        branches.stream()
                .filter(branch -> branch.getType() == Schema.Type.RECORD)
                .flatMap(branch -> branch.getFields().stream())
                .forEach(field -> names.put(field.name(), field.name()));
    }

    @Override
    public Fields decode(ByteBuffer payload) throws IOException {
        var binary = DecoderFactory.get()
                .binaryDecoder(payload.array(), payload.arrayOffset() + payload.position(), payload.remaining(), null);
        GenericRecord record = reader.read(null, binary);
        return name -> names.containsKey(name) ? record.get(names.get(name)) : null;
    }
}
