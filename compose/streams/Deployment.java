package streams;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collection;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.GroupListing;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.errors.TopicExistsException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What stands on Kafka and on disk around the queries: sources are awaited; a rule whose meaning is new begins anew,
 * with an empty sink, as `ksql deploy --replace` has it; what queries of before have left behind is removed.
 */
final class Deployment {
    private static final Logger LOG = LoggerFactory.getLogger(Deployment.class);
    private static final long ASK_AGAIN_MS = 500;
    private static final Map<String, String> SINK =
            Map.of("cleanup.policy", "compact,delete", "retention.ms", String.valueOf(7L * 24 * 60 * 60 * 1000));

    private final Admin admin;
    private final Path state;
    private final String prefix;

    Deployment(Admin admin, Path state, String prefix) {
        this.admin = admin;
        this.state = state;
        this.prefix = prefix;
    }

    /** Everything is ready for these queries, and only for them; throws KafkaException. */
    void prepare(Collection<Query> queries) throws IOException, InterruptedException {
        int partitions = awaitSources();
        Set<String> known = applications();
        Set<String> current = queries.stream().map(Query::application).collect(Collectors.toSet());
        for (String application : known) {
            if (!current.contains(application)) {
                LOG.info("removing {}, which no rule has any more", application);
                remove(application);
            }
        }
        for (Query query : queries) {
            if (!known.contains(query.application())) {
                LOG.info("beginning {} anew", query.application());
                remove(query.application());
                replace(new NewTopic(query.rule().sink(), Optional.of(partitions), Optional.empty()).configs(SINK));
            }
        }
    }

    /** Waits until somebody has made the sources, and says how many partitions they have. */
    private int awaitSources() throws InterruptedException {
        while (true) {
            try {
                return get(admin.describeTopics(RuleTopology.SOURCES).allTopicNames()).values().stream()
                        .map(TopicDescription::partitions)
                        .mapToInt(List::size)
                        .max()
                        .orElseThrow();
            } catch (UnknownTopicOrPartitionException error) {
                Thread.sleep(ASK_AGAIN_MS);
            }
        }
    }

    /** Queries that have run here: their groups remember what they have read. */
    private Set<String> applications() throws InterruptedException {
        return get(admin.listGroups().valid()).stream()
                .map(GroupListing::groupId)
                .filter(group -> group.startsWith(prefix))
                .collect(Collectors.toSet());
    }

    /** An application's topics, its state on disk, and last its group, by which it is known. */
    private void remove(String application) throws IOException, InterruptedException {
        Set<String> topics = get(admin.listTopics().names());
        List<String> internal =
                topics.stream().filter(topic -> topic.startsWith(application + "-")).toList();
        get(admin.deleteTopics(internal).all());
        delete(state.resolve(application));
        if (applications().contains(application)) {
            get(admin.deleteConsumerGroups(List.of(application)).all());
        }
    }

    /** An empty topic in place of whatever had its name. A deletion takes its time, until which the name is taken. */
    private void replace(NewTopic topic) throws InterruptedException {
        if (get(admin.listTopics().names()).contains(topic.name())) {
            get(admin.deleteTopics(List.of(topic.name())).all());
        }
        while (true) {
            try {
                get(admin.createTopics(List.of(topic)).all());
                return;
            } catch (TopicExistsException error) {
                Thread.sleep(ASK_AGAIN_MS);
            }
        }
    }

    private static void delete(Path folder) throws IOException {
        if (Files.exists(folder)) {
            try (Stream<Path> within = Files.walk(folder)) {
                for (Path path : within.sorted(Comparator.reverseOrder()).toList()) {
                    Files.delete(path);
                }
            }
        }
    }

    private static <T> T get(org.apache.kafka.common.KafkaFuture<T> answer) throws InterruptedException {
        try {
            return answer.get();
        } catch (ExecutionException error) {
            throw error.getCause() instanceof KafkaException known ? known : new KafkaException(error.getCause());
        }
    }
}
