package streams;

import com.fasterxml.jackson.annotation.JsonIgnoreProperties;
import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.PropertyNamingStrategies.SnakeCaseStrategy;
import com.fasterxml.jackson.databind.annotation.JsonNaming;
import java.io.IOException;
import java.math.BigDecimal;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.stream.Collectors;
import org.apache.kafka.streams.kstream.TimeWindows;

/**
 * A rule, as `python -m fraud rules --format json` tells it: durations in ms, sums in cents; a limit that it does not
 * have is null. `fingerprint` changes with the rule's meaning.
 */
@JsonNaming(SnakeCaseStrategy.class)
@JsonIgnoreProperties(ignoreUnknown = true)
public record Rule(
        String name,
        String fingerprint,
        List<Column> groupBy,
        Double amountFrom,
        Double amountBelow,
        long sizeMs,
        long advanceMs,
        long graceMs,
        Long totalAboveCents,
        Long minPayments,
        Distinct minDistinct,
        boolean foldBanks) {

    /** At least `count` different values of these columns, taken together. */
    record Distinct(List<Column> of, int count) {}

    public static List<Rule> read(Path file) throws IOException {
        return Json.MAPPER.readValue(Files.readAllBytes(file), new TypeReference<List<Rule>>() {});
    }

    /** The topic that its rows go to. */
    String sink() {
        return "ksqldb_" + name;
    }

    TimeWindows windows() {
        return TimeWindows.ofSizeAndGrace(Duration.ofMillis(sizeMs), Duration.ofMillis(graceMs))
                .advanceBy(Duration.ofMillis(advanceMs));
    }

    /** WHERE, and the nulls that GROUP BY leaves out. Amounts are compared as doubles. */
    boolean takes(Payment payment) {
        return (amountFrom == null || payment.amount() != null && payment.amount() >= amountFrom)
                && (amountBelow == null || payment.amount() != null && payment.amount() < amountBelow)
                && groupBy.stream().allMatch(column -> column.of(payment) != null);
    }

    /** The payment as this rule sees it. */
    Payment seen(Payment payment) {
        return foldBanks ? payment.withFoldedBank() : payment;
    }

    /** GROUP BY. */
    List<Object> group(Payment payment) {
        return groupBy.stream().map(column -> column.of(payment)).toList();
    }

    /** The value of which HAVING counts the different ones; null where this rule counts none. */
    String distinct(Payment payment) {
        return minDistinct == null
                ? null
                : minDistinct.of().stream().map(column -> String.valueOf(column.of(payment))).collect(Collectors.joining("/"));
    }

    /** HAVING. */
    boolean fires(Aggregate aggregate) {
        return (totalAboveCents == null
                        || aggregate.total().compareTo(BigDecimal.valueOf(totalAboveCents, Aggregate.CENTS)) > 0)
                && (minPayments == null || aggregate.count() >= minPayments)
                && (minDistinct == null || aggregate.distinct().size() >= minDistinct.count());
    }
}
