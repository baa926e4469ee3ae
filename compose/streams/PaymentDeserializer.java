package streams;

import java.io.IOException;
import java.nio.ByteBuffer;
import org.apache.kafka.common.errors.SerializationException;
import org.apache.kafka.common.serialization.Deserializer;

/**
 * Payments in Confluent's wire format: a zero byte, the schema's id in four bytes, the payload. JSON may stand there
 * bare, as other producers write it.
 */
public final class PaymentDeserializer implements Deserializer<Payment> {
    private static final byte MAGIC = 0;
    private static final int HEADER_BYTES = 5;
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
                wholeNumber(fields.get("payor_account_no")),
                text(fields.get("payee_bank")),
                wholeNumber(fields.get("payee_account_no")),
                number(fields.get("payment_amount")));
    }

    private static String text(Object value) {
        return value == null ? null : ((CharSequence) value).toString();
    }

    private static Integer wholeNumber(Object value) {
        return value == null ? null : Math.toIntExact(((Number) value).longValue());
    }

    private static Double number(Object value) {
        return value == null ? null : ((Number) value).doubleValue();
    }
}
