import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.UUID;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;

/**
 * What is kept of a pair's day. `listed` are its first 1,000 payments in order of arrival, each packed as the id's 16
 * bytes, amount, time, the source's place in SOURCES, the method's length and the method.
 */
record Window(long count, long cents, double max, long firstAt, long lastAt, byte[] listed) {
    static final List<String> SOURCES = List.of("payment_json", "payment_avro", "payment_protobuf");
    static final Window EMPTY = new Window(0, 0, 0, Long.MAX_VALUE, Long.MIN_VALUE, new byte[0]);
    static final Serde<Window> SERDE = Serdes.serdeFrom(
            (topic, window) -> window == null ? null : window.encode(),
            (topic, bytes) -> bytes == null ? null : decode(bytes));
    private static final int LISTED_MAX = 1000;
    private static final int TOTALS = 5 * Long.BYTES;

    /** A listed payment. */
    record Listed(UUID id, double amount, String method, long at, String source) {}

    Window with(Payment payment, long at) {
        return new Window(
                count + 1,
                cents + payment.cents(),
                Math.max(max, payment.amount()),
                Math.min(firstAt, at),
                Math.max(lastAt, at),
                count < LISTED_MAX ? listedWith(payment, at) : listed);
    }

    private byte[] listedWith(Payment payment, long at) {
        UUID id = UUID.fromString(payment.id());
        byte[] method = payment.method().getBytes(StandardCharsets.UTF_8);
        byte[] longer = Arrays.copyOf(listed, listed.length + 4 * Long.BYTES + 2 + method.length);
        ByteBuffer.wrap(longer)
                .position(listed.length)
                .putLong(id.getMostSignificantBits())
                .putLong(id.getLeastSignificantBits())
                .putDouble(payment.amount())
                .putLong(at)
                .put((byte) SOURCES.indexOf(payment.source()))
                .put((byte) method.length)
                .put(method);
        return longer;
    }

    /** The payment that begins where `packed` stands, which then stands behind it. */
    static Listed next(ByteBuffer packed) {
        UUID id = new UUID(packed.getLong(), packed.getLong());
        double amount = packed.getDouble();
        long at = packed.getLong();
        String source = SOURCES.get(packed.get());
        byte[] method = new byte[Byte.toUnsignedInt(packed.get())];
        packed.get(method);
        return new Listed(id, amount, new String(method, StandardCharsets.UTF_8), at, source);
    }

    private byte[] encode() {
        return ByteBuffer.allocate(TOTALS + listed.length)
                .putLong(count)
                .putLong(cents)
                .putDouble(max)
                .putLong(firstAt)
                .putLong(lastAt)
                .put(listed)
                .array();
    }

    private static Window decode(byte[] bytes) {
        ByteBuffer buffer = ByteBuffer.wrap(bytes);
        return new Window(
                buffer.getLong(),
                buffer.getLong(),
                buffer.getDouble(),
                buffer.getLong(),
                buffer.getLong(),
                Arrays.copyOfRange(bytes, TOTALS, bytes.length));
    }
}
