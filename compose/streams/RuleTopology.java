package streams;

import java.util.List;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.WindowedSerdes.TimeWindowedSerde;
import org.apache.kafka.streams.state.WindowStore;

/**
 * A rule as Kafka Streams runs it: what ksqlDB makes of `CREATE TABLE ... WINDOW ... WHERE ... GROUP BY ... HAVING ...
 * EMIT CHANGES`.
 */
public final class RuleTopology {
    static final List<String> SOURCES = List.of("payment_json", "payment_avro", "payment_protobuf");

    private RuleTopology() {}

    /** The rule alone, from its sources to its sink. */
    public static Topology of(Rule rule, Deserializer<Payment> reader) {
        StreamsBuilder builder = new StreamsBuilder();
        addTo(payments(builder, reader), rule);
        return builder.build();
    }

    /** The three topics as one stream; a record's time is the payment's time. */
    public static KStream<byte[], Payment> payments(StreamsBuilder builder, Deserializer<Payment> reader) {
        Serde<Payment> serde = Serdes.serdeFrom(Json.serde(Payment.class).serializer(), reader);
        return builder.stream(SOURCES, Consumed.with(Serdes.ByteArray(), serde));
    }

    /** Filter, repartition by group, aggregate by window, and write the windows for which the rule holds. */
    public static void addTo(KStream<byte[], Payment> payments, Rule rule) {
        Serde<List<Object>> groups = GroupSerde.of(rule.groupBy());
        payments.filter((_, payment) -> rule.takes(payment))
                .map((_, payment) -> byGroup(rule, rule.seen(payment)))
                .groupByKey(Grouped.with(rule.name(), groups, Json.serde(Payment.class)))
                .windowedBy(rule.windows())
                .aggregate(
                        () -> Aggregate.EMPTY,
                        (_, payment, aggregate) -> aggregate.with(payment, rule.distinct(payment)),
                        windows(rule, groups))
                // The table has its old values, so a window for which the rule never held leaves no tombstone.
                .filter((_, aggregate) -> rule.fires(aggregate))
                .toStream()
                .mapValues((window, aggregate) -> SinkRow.of(rule, window, aggregate))
                // A windowed key is partitioned by the group alone: all windows of a group lie in one partition.
                .to(rule.sink(), Produced.with(new TimeWindowedSerde<>(groups, rule.sizeMs()), Serdes.ByteArray()));
    }

    private static KeyValue<List<Object>, Payment> byGroup(Rule rule, Payment payment) {
        return KeyValue.pair(rule.group(payment), payment);
    }

    private static Materialized<List<Object>, Aggregate, WindowStore<Bytes, byte[]>> windows(
            Rule rule, Serde<List<Object>> groups) {
        return Materialized.<List<Object>, Aggregate, WindowStore<Bytes, byte[]>>as(rule.name() + "-windows")
                .withKeySerde(groups)
                .withValueSerde(Json.serde(Aggregate.class));
    }
}
