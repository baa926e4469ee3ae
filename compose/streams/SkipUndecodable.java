package streams;

import java.util.Map;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.streams.errors.DeserializationExceptionHandler;
import org.apache.kafka.streams.errors.ErrorHandlerContext;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Leaves a record out that cannot be read, as ksqlDB does; stops where it is the registry that cannot be reached. */
public final class SkipUndecodable implements DeserializationExceptionHandler {
    private static final Logger LOG = LoggerFactory.getLogger(SkipUndecodable.class);

    @Override
    public DeserializationHandlerResponse handle(ErrorHandlerContext context, ConsumerRecord<byte[], byte[]> record, Exception error) {
        if (error instanceof SchemaRegistry.Unavailable) {
            return DeserializationHandlerResponse.FAIL;
        }
        LOG.warn("left out {}-{}@{}: {}", record.topic(), record.partition(), record.offset(), error.getMessage());
        return DeserializationHandlerResponse.CONTINUE;
    }

    @Override
    public void configure(Map<String, ?> settings) {}
}
