package streams;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.Serializer;

/**
 * A group's values as a key, as KEY_FORMAT='JSON' has it: several columns are an object, one is its bare value. Equal
 * groups have equal bytes.
 */
final class GroupSerde {
    private GroupSerde() {}

    static Serde<List<Object>> of(List<Column> columns) {
        return columns.size() == 1 ? Serdes.serdeFrom(bare(), fromBare(columns.getFirst())) : object(columns);
    }

    private static Serializer<List<Object>> bare() {
        return (_, group) -> group == null ? null : Json.write(group.getFirst());
    }

    private static Deserializer<List<Object>> fromBare(Column column) {
        return (_, bytes) -> bytes == null ? null : List.of(Json.read(bytes, column.type()));
    }

    private static Serde<List<Object>> object(List<Column> columns) {
        return Serdes.serdeFrom((_, group) -> {
            if (group == null) {
                return null;
            }
            Map<String, Object> named = new LinkedHashMap<>();
            for (int place = 0; place < columns.size(); place++) {
                named.put(columns.get(place).keyName(), group.get(place));
            }
            return Json.write(named);
        }, (_, bytes) -> {
            Map<?, ?> named = Json.read(bytes, Map.class);
            return named == null
                    ? null
                    : columns.stream().map(column -> (Object) named.get(column.keyName())).toList();
        });
    }
}
