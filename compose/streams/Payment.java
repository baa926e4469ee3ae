package streams;

import java.util.Locale;
import java.util.regex.Pattern;

/** A payment as far as rules look at it; what a record lacks is null, as in SQL. */
public record Payment(String id, Integer payorAccountNo, String payeeBank, Integer payeeAccountNo, Double amount) {
    private static final Pattern BLANKS = Pattern.compile(
            "[\\x00-\\x20\\x7F-\\xA0\\u1680\\u2000-\\u200F\\u2028\\u2029\\u202F\\u205F\\u2060\\u3000\\uFEFF]+");

    /** UCASE(TRIM(REGEXP_REPLACE(payee_bank, BLANKS, ' '))): the bank in one spelling. */
    Payment withFoldedBank() {
        if (payeeBank == null) {
            return this;
        }
        String folded = BLANKS.matcher(payeeBank).replaceAll(" ").trim().toUpperCase(Locale.ROOT);
        return new Payment(id, payorAccountNo, folded, payeeAccountNo, amount);
    }
}
