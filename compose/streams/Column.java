package streams;

import com.fasterxml.jackson.annotation.JsonProperty;
import java.util.Locale;
import java.util.function.Function;

/** A column by which payments are grouped, or of which different values are counted. */
public enum Column {
    @JsonProperty("payor_account_no")
    PAYOR_ACCOUNT_NO(Integer.class, Payment::payorAccountNo),
    @JsonProperty("payee_bank")
    PAYEE_BANK(String.class, Payment::payeeBank),
    @JsonProperty("payee_account_no")
    PAYEE_ACCOUNT_NO(Integer.class, Payment::payeeAccountNo);

    private final Class<?> type;
    private final Function<Payment, Object> value;

    Column(Class<?> type, Function<Payment, Object> value) {
        this.type = type;
        this.value = value;
    }

    /** Integer or String. */
    Class<?> type() {
        return type;
    }

    /** The payment's value, null where it has none. */
    Object of(Payment payment) {
        return value.apply(payment);
    }

    /** The column's name in a table's key, where `AS_VALUE` has taken the plain name for the value. */
    String keyName() {
        return "K_" + name().toUpperCase(Locale.ROOT);
    }
}
