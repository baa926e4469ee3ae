package streams;

import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AdminClientConfig;
import org.apache.kafka.streams.KafkaStreams;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The second engine where there is no ksqlDB: each rule as the Kafka Streams topology that ksqlDB compiles its SQL to.
 *
 * <p>Arguments: Kafka's bootstrap servers, the registry's address, what the names of its applications begin with, a
 * file with the rules as JSON, a folder for the state. Runs until it is asked to end, or until a query fails: then it
 * ends with status 1, to be started again by whoever started it.
 */
public final class Engine {
    private static final Logger LOG = LoggerFactory.getLogger(Engine.class);
    private static final Duration CLOSE_TIMEOUT = Duration.ofSeconds(8);

    private Engine() {}

    public static void main(String[] arguments) throws Exception {
        String servers = arguments[0];
        PaymentDeserializer reader = new PaymentDeserializer(new SchemaRegistry(arguments[1]));
        String prefix = arguments[2];
        Path state = Path.of(arguments[4]);
        List<Query> queries = Rule.read(Path.of(arguments[3])).stream()
                .map(rule -> new Query(rule, prefix))
                .toList();
        try (Admin admin = Admin.create(Map.of(AdminClientConfig.BOOTSTRAP_SERVERS_CONFIG, servers))) {
            new Deployment(admin, state, prefix).prepare(queries);
        }
        List<KafkaStreams> running = new ArrayList<>();
        for (Query query : queries) {
            running.add(new KafkaStreams(RuleTopology.of(query.rule(), reader), query.settings(servers, state)));
        }
        CountDownLatch failure = new CountDownLatch(1);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> close(running)));
        for (KafkaStreams streams : running) {
            streams.setUncaughtExceptionHandler(error -> {
                LOG.error("a query failed", error);
                failure.countDown();
                return org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse
                        .SHUTDOWN_CLIENT;
            });
            streams.start();
        }
        failure.await();
        System.exit(1);
    }

    /** All at once: each waits for its last commit. */
    private static void close(List<KafkaStreams> running) {
        running.parallelStream().forEach(streams -> streams.close(CLOSE_TIMEOUT));
    }
}
