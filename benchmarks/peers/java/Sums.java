import java.nio.ByteBuffer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.WindowedSerdes;
import org.apache.kafka.streams.state.Stores;
import org.apache.kafka.streams.state.WindowStore;

/** The least that the rule needs: each pair's sum and count, in memory. A case is these two. */
final class Sums {
    private record Sum(long cents, long count) {
        Sum plus(long more) {
            return new Sum(cents + more, count + 1);
        }
    }

    private static final Serde<Sum> SERDE = Serdes.serdeFrom(
            (topic, sum) -> sum == null ? null
                    : ByteBuffer.allocate(16).putLong(sum.cents).putLong(sum.count).array(),
            (topic, bytes) -> {
                if (bytes == null) {
                    return null;
                }
                ByteBuffer buffer = ByteBuffer.wrap(bytes);
                return new Sum(buffer.getLong(), buffer.getLong());
            });

    static Topology topology(String application, Progress progress) {
        StreamsBuilder builder = new StreamsBuilder();
        builder.stream("payment_json", Consumed.with(Serdes.String(), Serdes.ByteArray()))
                .mapValues(value -> {
                    progress.read();
                    return Payment.framed(value);
                })
                .filter((key, payment) -> Structuring.takes(payment))
                .map((key, payment) -> {
                    progress.passed();
                    return KeyValue.pair(Structuring.pair(payment), payment.cents());
                })
                .groupByKey(Grouped.with("pairs", Serdes.String(), Serdes.Long()))
                .windowedBy(Structuring.WINDOWS)
                .aggregate(() -> new Sum(0, 0), (pair, cents, sum) -> {
                    progress.added();
                    return sum.plus(cents);
                }, store())
                .toStream()
                .filter((window, sum) -> Structuring.fires(sum.cents))
                .to(application + "_cases", Produced.with(
                        WindowedSerdes.timeWindowedSerdeFrom(String.class, Structuring.SIZE.toMillis()), SERDE));
        return builder.build();
    }

    /** In memory and without a cache: no pair comes twice between two commits, so that a cache would cost only. */
    private static Materialized<String, Sum, WindowStore<Bytes, byte[]>> store() {
        return Materialized.<String, Sum>as(Stores.inMemoryWindowStore(
                        "windows", Structuring.SIZE.plus(Structuring.GRACE), Structuring.SIZE, false))
                .withKeySerde(Serdes.String())
                .withValueSerde(SERDE)
                .withCachingDisabled();
    }
}
