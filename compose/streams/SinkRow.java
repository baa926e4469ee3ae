package streams;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.streams.kstream.Windowed;

/** A row of a rule's sink topic, as VALUE_FORMAT='JSON' has it: the columns that the rule's SQL selects, in its order. */
final class SinkRow {
    private SinkRow() {}

    /** Null, which is a tombstone, where the rule does not hold any more. */
    static byte[] of(Rule rule, Windowed<List<Object>> window, Aggregate aggregate) {
        if (aggregate == null) {
            return null;
        }
        Map<String, Object> row = new LinkedHashMap<>();
        for (int place = 0; place < rule.groupBy().size(); place++) {
            row.put(rule.groupBy().get(place).name(), window.key().get(place));
        }
        row.put("WINDOW_START", window.window().start());
        row.put("WINDOW_END", window.window().end());
        row.put("PAYMENT_COUNT", aggregate.count());
        row.put("TOTAL_AMOUNT", aggregate.total());
        row.put("MAX_AMOUNT", aggregate.max());
        row.put("PAYMENT_IDS", aggregate.ids());
        return Json.write(row);
    }
}
