package streams;

import java.nio.file.Path;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.common.utils.AppInfoParser;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.processor.LogAndSkipOnInvalidTimestamp;

/** One rule as a Kafka Streams application of its own, as ksqlDB runs each query. */
record Query(Rule rule, String prefix) {
    private static final int COMMIT_INTERVAL_MS = 300;
    private static final int SESSION_TIMEOUT_MS = 10_000;
    private static final int MAX_FETCH_BYTES = 4 << 20;
    private static final int MAX_BUFFERED = 250;
    private static final long MAX_CACHE_BYTES = 4L << 20;

    /** Application id, and so name of its consumer group: another meaning of the rule is another application. */
    String application() {
        return prefix + rule.name() + "-" + rule.fingerprint();
    }

    Properties settings(String bootstrapServers, Path state) {
        Properties settings = new Properties();
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, application());
        // Whoever looks at the group learns from it which engine that is.
        settings.put(StreamsConfig.CLIENT_ID_CONFIG, "kafka-streams-" + AppInfoParser.getVersion() + "-" + rule.name());
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, bootstrapServers);
        settings.put(StreamsConfig.STATE_DIR_CONFIG, state.toString());
        settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
        settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, COMMIT_INTERVAL_MS);
        settings.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, MAX_CACHE_BYTES);
        settings.put(StreamsConfig.BUFFERED_RECORDS_PER_PARTITION_CONFIG, MAX_BUFFERED);
        settings.put(StreamsConfig.ROCKSDB_CONFIG_SETTER_CLASS_CONFIG, BoundedRocksDb.class);
        settings.put(StreamsConfig.DESERIALIZATION_EXCEPTION_HANDLER_CLASS_CONFIG, SkipUndecodable.class);
        settings.put(StreamsConfig.DEFAULT_TIMESTAMP_EXTRACTOR_CLASS_CONFIG, LogAndSkipOnInvalidTimestamp.class);
        settings.put(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "earliest");
        settings.put(ConsumerConfig.FETCH_MAX_BYTES_CONFIG, MAX_FETCH_BYTES);
        settings.put(ConsumerConfig.SESSION_TIMEOUT_MS_CONFIG, SESSION_TIMEOUT_MS);
        // A static member: after a crash it has its tasks back at once, and not after the session's timeout.
        settings.put(ConsumerConfig.GROUP_INSTANCE_ID_CONFIG, "engine");
        return settings;
    }
}
