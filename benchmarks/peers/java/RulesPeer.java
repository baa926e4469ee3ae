import com.sun.management.OperatingSystemMXBean;
import java.lang.management.ManagementFactory;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.kstream.KStream;
import streams.Payment;
import streams.PaymentDeserializer;
import streams.Rule;
import streams.RuleTopology;
import streams.SchemaRegistry;

/**
 * All rules as the second engine runs them, but in one application with one stream thread, so that each payment is
 * decoded once.
 *
 * <p>Arguments: bootstrap servers, application id, a folder for the state, the registry's address, a file with the
 * rules as JSON. Prints the CPU seconds of its start when it reads the first payment, and runs until it is ended.
 */
public final class RulesPeer {
    private RulesPeer() {}

    public static void main(String[] arguments) throws Exception {
        List<Rule> rules = Rule.read(Path.of(arguments[4]));
        StreamsBuilder builder = new StreamsBuilder();
        KStream<byte[], Payment> payments = RuleTopology.payments(builder, reader(arguments[3]));
        rules.forEach(rule -> RuleTopology.addTo(payments, rule));
        KafkaStreams streams = new KafkaStreams(
                builder.build(), KafkaStreamsPeer.settings(arguments[0], arguments[1], arguments[2]));
        Runtime.getRuntime().addShutdownHook(new Thread(streams::close));
        streams.start();
    }

    private static Deserializer<Payment> reader(String registry) {
        PaymentDeserializer reader = new PaymentDeserializer(new SchemaRegistry(registry));
        AtomicBoolean began = new AtomicBoolean();
        return (topic, value) -> {
            if (!began.getAndSet(true)) {
                System.out.println(processCpuSeconds());
            }
            return reader.deserialize(topic, value);
        };
    }

    private static double processCpuSeconds() {
        return ((OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean()).getProcessCpuTime() / 1e9;
    }
}
