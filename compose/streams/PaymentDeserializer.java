package streams;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.function.Predicate;
import org.apache.kafka.common.errors.SerializationException;
import org.apache.kafka.common.serialization.Deserializer;

/**
 * Payments in Confluent's wire format: a zero byte, the schema's id in four bytes, the payload. JSON may stand there
 * bare, as other producers write it.
 */
public final class PaymentDeserializer implements Deserializer<Payment> {
    private static final byte MAGIC = 0;
    private static final int HEADER_BYTES = 5;
    private static final double MAX_AMOUNT = 1e12;
    private static final double CENTS = 100;
    private static final PayloadDecoder BARE = new JsonDecoder();

    private final SchemaRegistry registry;

    public PaymentDeserializer(SchemaRegistry registry) {
        this.registry = registry;
    }

    @Override
    public Payment deserialize(String topic, byte[] value) {
        if (value == null) {
            throw new SerializationException("no value");
        }
        try {
            ByteBuffer payload = ByteBuffer.wrap(value);
            return payment(decoder(payload).decode(payload));
        } catch (IOException | RuntimeException error) {
            if (error instanceof SchemaRegistry.Unavailable) {
                throw (SchemaRegistry.Unavailable) error;
            }
            throw new SerializationException("not a payment: " + error, error);
        }
    }

    private PayloadDecoder decoder(ByteBuffer value) {
        if (value.remaining() < HEADER_BYTES || value.get(value.position()) != MAGIC) {
            return BARE;
        }
        value.get();
        return registry.decoder(value.getInt());
    }

    private static Payment payment(PayloadDecoder.Fields fields) {
        return new Payment(
                text(fields.get("id")),
                account(fields.get("payor_account_no")),
                text(fields.get("payee_bank")),
                account(fields.get("payee_account_no")),
                amount(fields.get("payment_amount")));
    }

    private static String text(Object value) {
        return value == null ? null : ((CharSequence) value).toString();
    }

    private static Integer account(Object value) {
        return value == null ? null : checked(wholeNumber((Number) value), value, number -> number >= 0);
    }

    /** In dollars, with at most two decimals: a double that is nearest to a number of cents. */
    private static Double amount(Object value) {
        return value == null
                ? null
                : checked(((Number) value).doubleValue(), value, dollars -> dollars > 0
                        && dollars <= MAX_AMOUNT
                        && Math.rint(dollars * CENTS) / CENTS == dollars);
    }

    private static int wholeNumber(Number value) {
        int number = Math.toIntExact(value.longValue());
        return checked(number, value, _ -> number == value.doubleValue());
    }

    private static <T> T checked(T number, Object value, Predicate<T> valid) {
        if (!valid.test(number)) {
            throw new IllegalArgumentException("no payment has this number: " + value);
        }
        return number;
    }
}
