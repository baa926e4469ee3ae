import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.processor.internals.DefaultKafkaClientSupplier;

/**
 * The rule `structuring` in Kafka Streams, exactly once, by one stream thread, over a backlog of N payments.
 *
 * <p>Arguments: `sums` or `cases`, bootstrap servers, application id, N, a folder for the state. Prints one line of
 * JSON once all N are processed and committed.
 */
public final class KafkaStreamsPeer {
    private static final long CACHE_BYTES = 512L << 20; // half a million open windows with their payments

    private static Topology topology(String variant, String application, Progress progress) {
        return switch (variant) {
            case "sums" -> Sums.topology(application, progress);
            case "cases" -> Cases.topology(application, progress);
            default -> throw new IllegalArgumentException(variant);
        };
    }

    static Properties settings(String servers, String application, String folder) {
        Properties settings = new Properties();
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, application);
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, servers);
        settings.put(StreamsConfig.STATE_DIR_CONFIG, folder);
        settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
        settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 1);
        settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 100);
        settings.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, CACHE_BYTES);
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
        String application = arguments[2];
        Progress progress = new Progress(Long.parseLong(arguments[3]));
        Topology topology = topology(arguments[0], application, progress);
        Properties settings = settings(arguments[1], application, arguments[4]);
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
