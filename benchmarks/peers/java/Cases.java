import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.Repartitioned;
import org.apache.kafka.streams.processor.api.ContextualFixedKeyProcessor;
import org.apache.kafka.streams.processor.api.FixedKeyRecord;
import org.apache.kafka.streams.state.WindowStore;

/**
 * The work of both fraud stages: each payment is checked and written twice, by pair and by payee; a window keeps its
 * payments, in RocksDB and a changelog; a case is written whole, once per commit that changes it.
 */
final class Cases {
    private static final String INPUT = "payment_json";

    /** A payment, and as it is written: encoded once for both topics. */
    private record Normalised(Payment payment, byte[] json) {
        static Normalised of(Payment payment) {
            return new Normalised(payment, payment.normalisedFrom(INPUT));
        }

        KeyValue<String, byte[]> byPair() {
            return KeyValue.pair(Structuring.pair(payment), json);
        }

        KeyValue<String, byte[]> byPayee() {
            return KeyValue.pair(payment.payeeAccountNo() + "/" + payment.payeeBank(), json);
        }
    }

    private record Timed(Payment payment, long at) {}

    static Topology topology(String application, Progress progress) {
        StreamsBuilder builder = new StreamsBuilder();
        KStream<String, Normalised> payments = builder
                .stream(INPUT, Consumed.with(Serdes.String(), Serdes.ByteArray()))
                .mapValues(value -> {
                    progress.read();
                    return Payment.framed(value);
                })
                .filter((key, payment) -> payment.isValid())
                .mapValues(Normalised::of);
        payments.map((key, payment) -> payment.byPayee())
                .to(application + "_payments_by_payee", Produced.with(Serdes.String(), Serdes.ByteArray()));
        payments.filter((key, payment) -> Structuring.takes(payment.payment))
                .map((key, payment) -> {
                    progress.passed();
                    return payment.byPair();
                })
                .repartition(Repartitioned.with(Serdes.String(), Serdes.ByteArray()).withName("payments"))
                .processValues(DecodedWithTime::new)
                .groupByKey()
                .windowedBy(Structuring.WINDOWS)
                .aggregate(() -> Window.EMPTY, (pair, payment, window) -> {
                    progress.added();
                    return window.with(payment.payment, payment.at);
                }, store())
                .toStream()
                .filter((pair, window) -> Structuring.fires(window.cents()))
                .map((pair, window) -> keyed(Case.of(pair, window)))
                .to(application + "_cases", Produced.with(Serdes.String(), Serdes.ByteArray()));
        return builder.build();
    }

    private static KeyValue<String, byte[]> keyed(Case found) {
        String id = found.id();
        return KeyValue.pair(id, found.json(id));
    }

    /** With a cache, as by default: a window that changes often between two commits is one record and one case. */
    private static Materialized<String, Window, WindowStore<Bytes, byte[]>> store() {
        return Materialized.<String, Window, WindowStore<Bytes, byte[]>>as("windows")
                .withKeySerde(Serdes.String())
                .withValueSerde(Window.SERDE);
    }

    /** An aggregator is not told a record's time: this is where it is known. */
    private static final class DecodedWithTime extends ContextualFixedKeyProcessor<String, byte[], Timed> {
        @Override
        public void process(FixedKeyRecord<String, byte[]> record) {
            context().forward(record.withValue(new Timed(Payment.normalised(record.value()), record.timestamp())));
        }
    }
}
