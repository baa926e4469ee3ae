import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.util.ByteArrayBuilder;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.math.BigDecimal;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.UUID;
import org.apache.kafka.streams.kstream.Windowed;

/** What a reviewer gets to see of a pair's day; its id is that of `fraud.cases`. */
record Case(String payor, String bank, String payee, long start, long end, Window window) {
    private static final String RULE = "structuring";
    private static final byte[] NAMESPACE = ByteBuffer.allocate(16)
            .putLong(0x12ed56c5e13f5e44L)
            .putLong(0xb6074e4237d3f265L)
            .array();
    private static final MessageDigest SHA1 = sha1(); // there is one stream thread

    static Case of(Windowed<String> pair, Window window) {
        String key = pair.key();
        int first = key.indexOf('|'), last = key.lastIndexOf('|');
        return new Case(
                key.substring(0, first),
                key.substring(first + 1, last),
                key.substring(last + 1),
                pair.window().start(),
                pair.window().end(),
                window);
    }

    /** UUIDv5 of rule, group and window start: RFC 9562, section 5.5. */
    String id() {
        String name = String.join("|", RULE, payor, bank, payee, Long.toString(start));
        SHA1.update(NAMESPACE);
        ByteBuffer hash = ByteBuffer.wrap(SHA1.digest(name.getBytes(StandardCharsets.UTF_8)));
        long high = hash.getLong() & ~0xf000L | 0x5000L;
        long low = hash.getLong() & 0x3fffffffffffffffL | 0x8000000000000000L;
        return new UUID(high, low).toString();
    }

    byte[] json(String id) {
        ByteArrayBuilder bytes = new ByteArrayBuilder(2048);
        try (JsonGenerator json = Payment.JSON.createGenerator(bytes)) {
            json.writeStartObject();
            json.writeStringField("case_id", id);
            json.writeStringField("rule", RULE);
            json.writeObjectFieldStart("group");
            json.writeNumberField("payor_account_no", Integer.parseInt(payor));
            json.writeStringField("payee_bank", bank);
            json.writeNumberField("payee_account_no", Integer.parseInt(payee));
            json.writeEndObject();
            json.writeNumberField("window_start", start);
            json.writeNumberField("window_end", end);
            json.writeNumberField("payment_count", window.count());
            json.writeStringField("total_amount", BigDecimal.valueOf(window.cents(), 2).toPlainString());
            json.writeNumberField("max_amount", window.max());
            json.writeNumberField("first_payment_at", window.firstAt());
            json.writeNumberField("last_payment_at", window.lastAt());
            writePayments(json);
            json.writeEndObject();
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
        return bytes.toByteArray();
    }

    private void writePayments(JsonGenerator json) throws IOException {
        json.writeArrayFieldStart("payments");
        ByteBuffer packed = ByteBuffer.wrap(window.listed());
        while (packed.hasRemaining()) {
            Window.Listed payment = Window.next(packed);
            json.writeStartObject();
            json.writeStringField("id", payment.id().toString());
            json.writeNumberField("payment_amount", payment.amount());
            json.writeStringField("payment_method", payment.method());
            json.writeNumberField("timestamp", payment.at());
            json.writeStringField("topic", payment.source());
            json.writeEndObject();
        }
        json.writeEndArray();
    }

    private static MessageDigest sha1() {
        try {
            return MessageDigest.getInstance("SHA-1");
        } catch (NoSuchAlgorithmException error) {
            throw new IllegalStateException(error);
        }
    }
}
