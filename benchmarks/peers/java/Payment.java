import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.core.StreamWriteFeature;
import com.fasterxml.jackson.core.util.ByteArrayBuilder;
import java.io.IOException;
import java.io.UncheckedIOException;

/** One payment; `source` is the topic that it came from, and null before it is normalised. */
record Payment(
        String id,
        String payeeBank,
        int payeeAccountNo,
        double amount,
        String method,
        int payorAccountNo,
        String source) {
    static final JsonFactory JSON = JsonFactory.builder()
            .enable(StreamReadFeature.USE_FAST_DOUBLE_PARSER)
            .enable(StreamWriteFeature.USE_FAST_DOUBLE_WRITER)
            .build();
    private static final int HEADER = 5; // Confluent's wire format: a zero and the schema's id
    private static final double AMOUNT_MAX = 1e12;

    static Payment framed(byte[] value) {
        return decode(value, HEADER);
    }

    static Payment normalised(byte[] value) {
        return decode(value, 0);
    }

    private static Payment decode(byte[] value, int from) {
        String id = null, bank = null, method = null, source = null;
        int payee = -1, payor = -1;
        double amount = 0;
        try (JsonParser json = JSON.createParser(value, from, value.length - from)) {
            json.nextToken();
            while (json.nextToken() == JsonToken.FIELD_NAME) {
                String field = json.currentName();
                json.nextToken();
                switch (field) {
                    case "id" -> id = json.getText();
                    case "payee_bank" -> bank = json.getText();
                    case "payee_account_no" -> payee = json.getIntValue();
                    case "payment_amount" -> amount = json.getDoubleValue();
                    case "payment_method" -> method = json.getText();
                    case "payor_account_no" -> payor = json.getIntValue();
                    case "source" -> source = json.getText();
                    default -> json.skipChildren();
                }
            }
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
        return new Payment(id, bank, payee, amount, method, payor, source);
    }

    /** Whether every field is there and within its limits. */
    boolean isValid() {
        return isUuid(id)
                && isText(payeeBank, 140)
                && payeeAccountNo >= 0
                && amount > 0
                && amount <= AMOUNT_MAX
                && cents() / 100.0 == amount
                && isText(method, 35)
                && payorAccountNo >= 0;
    }

    private static boolean isText(String text, int most) {
        return text != null && text.length() <= most && !text.isBlank();
    }

    private static boolean isUuid(String text) {
        if (text == null || text.length() != 36) {
            return false;
        }
        for (int at = 0; at < 36; at++) {
            char found = text.charAt(at);
            boolean dash = at == 8 || at == 13 || at == 18 || at == 23;
            if (dash ? found != '-' : found > 'f' || Character.digit(found, 16) < 0) {
                return false;
            }
        }
        return true;
    }

    /** Exact: an amount has at most two decimals. */
    long cents() {
        return Math.round(amount * 100);
    }

    /** As JSON, with the topic that it came from. */
    byte[] normalisedFrom(String topic) {
        ByteArrayBuilder bytes = new ByteArrayBuilder(256);
        try (JsonGenerator json = JSON.createGenerator(bytes)) {
            json.writeStartObject();
            json.writeStringField("id", id);
            json.writeStringField("payee_bank", payeeBank);
            json.writeNumberField("payee_account_no", payeeAccountNo);
            json.writeNumberField("payment_amount", amount);
            json.writeStringField("payment_method", method);
            json.writeNumberField("payor_account_no", payorAccountNo);
            json.writeStringField("source", topic);
            json.writeEndObject();
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
        return bytes.toByteArray();
    }
}
