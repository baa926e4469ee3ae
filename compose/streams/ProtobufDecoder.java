package streams;

import com.squareup.wire.ProtoAdapter;
import com.squareup.wire.schema.Field;
import com.squareup.wire.schema.Field.EncodeMode;
import com.squareup.wire.schema.Location;
import com.squareup.wire.schema.MessageType;
import com.squareup.wire.schema.ProtoType;
import com.squareup.wire.schema.Schema;
import com.squareup.wire.schema.SchemaLoader;
import com.squareup.wire.schema.Type;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import okio.Buffer;
import org.apache.kafka.common.errors.SerializationException;

/**
 * Protobuf, by the writer's file. Between header and message stand the message's indexes, zigzag varints: how many, and
 * the path to the message in its file; a single 0 is the first message.
 */
final class ProtobufDecoder implements PayloadDecoder {
    private static final String FILE = "schema.proto";
    private static final List<Integer> FIRST_MESSAGE = List.of(0);
    private static final int MAX_DEPTH = 32;

    private record Message(MessageType type, ProtoAdapter<Object> adapter) {
        /** The field of this name, or else but for capitals: SQL does not tell them apart. */
        Field field(String name) {
            Field exact = type.field(name);
            return exact != null
                    ? exact
                    : type.getDeclaredFields().stream()
                            .filter(field -> field.getName().equalsIgnoreCase(name))
                            .findFirst()
                            .orElse(null);
        }
    }

    private final Schema schema;
    private final Map<List<Integer>, Message> messages = new ConcurrentHashMap<>();

    ProtobufDecoder(String text) {
        schema = parse(text);
    }

    @Override
    public Fields decode(ByteBuffer payload) throws IOException {
        Buffer buffer = new Buffer();
        buffer.write(payload);
        Message message = messages.computeIfAbsent(indexes(buffer), this::message);
        Map<?, ?> fields = (Map<?, ?>) message.adapter.decode(buffer);
        return name -> {
            Field field = message.field(name);
            return field != null && fields.containsKey(field.getName()) ? fields.get(field.getName()) : defaultOf(field);
        };
    }

    private static List<Integer> indexes(Buffer buffer) throws IOException {
        int count = ProtoAdapter.SINT32.decode(buffer);
        if (count == 0) {
            return FIRST_MESSAGE;
        }
        if (count < 0 || count > MAX_DEPTH) {
            throw new SerializationException(count + " message indexes");
        }
        List<Integer> path = new ArrayList<>(count);
        while (path.size() < count) {
            path.add(ProtoAdapter.SINT32.decode(buffer));
        }
        return path;
    }

    private Message message(List<Integer> path) {
        List<Type> types = schema.protoFile(FILE).getTypes();
        MessageType type = null;
        for (int index : path) {
            type = types.stream()
                    .filter(MessageType.class::isInstance)
                    .map(MessageType.class::cast)
                    .toList()
                    .get(index);
            types = type.getNestedTypes();
        }
        return new Message(type, schema.protoAdapter(type.getType().toString(), false));
    }

    /** The value of a field that is not on the wire: proto3 leaves zeros and empty texts out. */
    private static Object defaultOf(Field field) {
        if (field == null || field.getEncodeMode() != EncodeMode.OMIT_IDENTITY) {
            return null;
        }
        return ProtoType.STRING.equals(field.getType()) ? "" : (Object) 0;
    }

    private static Schema parse(String text) {
        try {
            Path folder = Files.createTempDirectory("schema");
            Path file = folder.resolve(FILE);
            try {
                Files.writeString(file, text);
                SchemaLoader loader = new SchemaLoader(FileSystems.getDefault());
                loader.initRoots(List.of(Location.get(folder.toString())), List.of());
                return loader.loadSchema();
            } finally {
                Files.deleteIfExists(file);
                Files.delete(folder);
            }
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }
}
