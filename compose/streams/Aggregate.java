package streams;

import java.math.BigDecimal;
import java.math.RoundingMode;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;

/**
 * Aggregates of a window: COUNT(*), SUM(CAST(payment_amount AS DECIMAL(18, 2))), MAX(payment_amount),
 * COLLECT_LIST(id) in order of arrival, and COLLECT_SET of what HAVING counts. Both collections end at COLLECTED_MAX.
 */
record Aggregate(long count, BigDecimal total, Double max, List<String> ids, Set<String> distinct) {
    static final int CENTS = 2;
    static final int COLLECTED_MAX = 1000;
    static final Aggregate EMPTY = new Aggregate(0, BigDecimal.valueOf(0, CENTS), null, List.of(), Set.of());

    /** With one payment more; `value` is what HAVING counts the different ones of, null for nothing. */
    Aggregate with(Payment payment, String value) {
        return new Aggregate(
                count + 1,
                payment.amount() == null ? total : total.add(inCents(payment.amount())),
                larger(max, payment.amount()),
                withId(payment.id()),
                withValue(value));
    }

    /** The cast rounds the exact binary value half up. */
    private static BigDecimal inCents(double amount) {
        return new BigDecimal(amount).setScale(CENTS, RoundingMode.HALF_UP);
    }

    private static Double larger(Double one, Double other) {
        return one == null ? other : other == null ? one : Double.valueOf(Math.max(one, other));
    }

    private List<String> withId(String id) {
        if (ids.size() >= COLLECTED_MAX) {
            return ids;
        }
        List<String> longer = new ArrayList<>(ids);
        longer.add(id);
        return longer;
    }

    private Set<String> withValue(String value) {
        if (value == null || distinct.size() >= COLLECTED_MAX || distinct.contains(value)) {
            return distinct;
        }
        Set<String> larger = new LinkedHashSet<>(distinct);
        larger.add(value);
        return larger;
    }
}
