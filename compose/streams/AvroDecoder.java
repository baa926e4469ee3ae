package streams;

import java.io.IOException;
import java.nio.ByteBuffer;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.DecoderFactory;

/** Avro, by the writer's schema. */
final class AvroDecoder implements PayloadDecoder {
    private final GenericDatumReader<GenericRecord> reader;

    AvroDecoder(String schema) {
        reader = new GenericDatumReader<>(new Schema.Parser().parse(schema));
    }

    @Override
    public Fields decode(ByteBuffer payload) throws IOException {
        var binary = DecoderFactory.get()
                .binaryDecoder(payload.array(), payload.arrayOffset() + payload.position(), payload.remaining(), null);
        GenericRecord record = reader.read(null, binary);
        return name -> record.hasField(name) ? record.get(name) : null;
    }
}
