import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import com.sun.management.OperatingSystemMXBean;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.management.ManagementFactory;
import java.math.BigDecimal;
import java.math.RoundingMode;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.Locale;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.kstream.WindowedSerdes;
import org.apache.kafka.streams.processor.internals.DefaultKafkaClientSupplier;
import org.apache.kafka.streams.state.Stores;
import org.apache.kafka.streams.state.WindowStore;

/**
 * The rule `structuring` in Kafka Streams, exactly once, by one stream thread, over a backlog of N payments.
 *
 * <p>Arguments: bootstrap servers, application id, N, a folder for the state. Cases go to APPLICATION_cases. Prints one
 * line of JSON once all N are processed and committed.
 */
public final class KafkaStreamsPeer {
    private static final Duration DAY = Duration.ofHours(24);
    private static final Duration GRACE = Duration.ofHours(1);
    private static final int HEADER = 5; // Confluent's wire format: a zero and the schema's id
    private static final double BELOW = 10_000;
    private static final long CENTS_ABOVE = 10_000_00;
    private static final JsonFactory JSON = new JsonFactory();

    private record Payment(
            String id, String payeeBank, int payeeAccountNo, BigDecimal amount, String method, int payorAccountNo) {}

    private record Sum(long cents, long count) {}

    private static final Serde<Sum> SUMS = Serdes.serdeFrom(
            (topic, sum) -> sum == null ? null
                    : ByteBuffer.allocate(16).putLong(sum.cents).putLong(sum.count).array(),
            (topic, bytes) -> {
                if (bytes == null) {
                    return null;
                }
                ByteBuffer buffer = ByteBuffer.wrap(bytes);
                return new Sum(buffer.getLong(), buffer.getLong());
            });

    /** What the stream thread has done; no other thread touches it before `done`. */
    private static final class Progress {
        final long payments;
        final CountDownLatch done = new CountDownLatch(1);
        long read;
        long passed;
        long added;
        long beganNanos;
        long endedNanos;
        long startupCpuNanos;
        long cpuNanos;

        Progress(long payments) {
            this.payments = payments;
        }

        Payment read(byte[] value) {
            if (read++ == 0) {
                beganNanos = System.nanoTime();
                startupCpuNanos = cpuNanos();
            }
            return decode(value);
        }

        boolean passes(Payment payment) {
            if (payment.amount.doubleValue() >= BELOW) {
                return false;
            }
            passed++;
            return true;
        }

        Sum add(Sum sum, long cents) {
            added++;
            return new Sum(sum.cents + cents, sum.count + 1);
        }

        void committed() {
            if (read >= payments && added == passed && done.getCount() > 0) {
                endedNanos = System.nanoTime();
                cpuNanos = cpuNanos();
                done.countDown();
            }
        }

        String line() {
            return String.format(
                    Locale.ROOT,
                    "{\"payments\": %d, \"wall_seconds\": %.3f, \"cpu_seconds\": %.3f, \"startup_cpu_seconds\": %.3f}",
                    read, (endedNanos - beganNanos) / 1e9, cpuNanos / 1e9, startupCpuNanos / 1e9);
        }
    }

    private static long cpuNanos() {
        return ((OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean()).getProcessCpuTime();
    }

    private static Payment decode(byte[] value) {
        String id = null, bank = null, method = null;
        int payee = 0, payor = 0;
        BigDecimal amount = null;
        try (JsonParser json = JSON.createParser(value, HEADER, value.length - HEADER)) {
            json.nextToken();
            while (json.nextToken() == JsonToken.FIELD_NAME) {
                String field = json.currentName();
                json.nextToken();
                switch (field) {
                    case "id" -> id = json.getText();
                    case "payee_bank" -> bank = json.getText();
                    case "payee_account_no" -> payee = json.getIntValue();
                    case "payment_amount" -> amount = json.getDecimalValue();
                    case "payment_method" -> method = json.getText();
                    case "payor_account_no" -> payor = json.getIntValue();
                    default -> json.skipChildren();
                }
            }
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
        return new Payment(id, bank, payee, amount, method, payor);
    }

    private static KeyValue<String, Long> keyed(Payment payment) {
        String pair = payment.payorAccountNo + "|" + payment.payeeBank + "|" + payment.payeeAccountNo;
        return KeyValue.pair(pair, payment.amount.setScale(2, RoundingMode.HALF_UP).unscaledValue().longValueExact());
    }

    /** In memory and without a cache: no pair comes twice between two commits, so that a cache would cost only. */
    private static Materialized<String, Sum, WindowStore<Bytes, byte[]>> windows() {
        return Materialized.<String, Sum>as(Stores.inMemoryWindowStore("windows", DAY.plus(GRACE), DAY, false))
                .withKeySerde(Serdes.String())
                .withValueSerde(SUMS)
                .withCachingDisabled();
    }

    private static Topology topology(Progress progress, String cases) {
        StreamsBuilder builder = new StreamsBuilder();
        builder.stream("payment_json", Consumed.with(Serdes.String(), Serdes.ByteArray()))
                .mapValues(progress::read)
                .filter((key, payment) -> progress.passes(payment))
                .map((key, payment) -> keyed(payment))
                .groupByKey(Grouped.with("pairs", Serdes.String(), Serdes.Long()))
                .windowedBy(TimeWindows.ofSizeAndGrace(DAY, GRACE))
                .aggregate(() -> new Sum(0, 0), (pair, cents, sum) -> progress.add(sum, cents), windows())
                .toStream()
                .filter((window, sum) -> sum.cents > CENTS_ABOVE)
                .to(cases, Produced.with(WindowedSerdes.timeWindowedSerdeFrom(String.class, DAY.toMillis()), SUMS));
        return builder.build();
    }

    private static Properties settings(String servers, String application, String folder) {
        Properties settings = new Properties();
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, application);
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, servers);
        settings.put(StreamsConfig.STATE_DIR_CONFIG, folder);
        settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
        settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 1);
        settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 100);
        settings.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, 0L);
        settings.put(StreamsConfig.BUFFERED_RECORDS_PER_PARTITION_CONFIG, 10_000);
        settings.put("max.poll.records", 10_000);
        settings.put("auto.offset.reset", "earliest");
        settings.put("max.partition.fetch.bytes", 4 << 20);
        settings.put(StreamsConfig.producerPrefix("linger.ms"), 100);
        settings.put(StreamsConfig.producerPrefix("batch.size"), 262_144);
        settings.put(StreamsConfig.producerPrefix("buffer.memory"), 134_217_728L);
        return settings;
    }

    public static void main(String[] arguments) throws InterruptedException {
        String application = arguments[1];
        Progress progress = new Progress(Long.parseLong(arguments[2]));
        Topology topology = topology(progress, application + "_cases");
        Properties settings = settings(arguments[0], application, arguments[3]);
        try (KafkaStreams streams = new KafkaStreams(topology, settings, new Clients(progress))) {
            streams.setUncaughtExceptionHandler(error -> {
                error.printStackTrace();
                Runtime.getRuntime().halt(1);
                return null;
            });
            streams.start();
            progress.done.await(); // whoever started this bounds it
            System.out.println(progress.line());
        }
    }

    /** Producers that tell when a transaction is committed. */
    private static final class Clients extends DefaultKafkaClientSupplier {
        private final Progress progress;

        Clients(Progress progress) {
            this.progress = progress;
        }

        @Override
        public Producer<byte[], byte[]> getProducer(Map<String, Object> config) {
            return new KafkaProducer<>(config, new ByteArraySerializer(), new ByteArraySerializer()) {
                @Override
                public void commitTransaction() {
                    super.commitTransaction();
                    progress.committed();
                }
            };
        }
    }
}
