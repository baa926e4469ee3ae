package streams;

import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** A payment as far as rules look at it; what a record lacks is null, as in SQL. */
public record Payment(String id, Integer payorAccountNo, String payeeBank, Integer payeeAccountNo, Double amount) {
    private static final Pattern BLANKS = Pattern.compile(
            "[\\x00-\\x20\\x7F-\\xA0\\u1680\\u2000-\\u200F\\u2028\\u2029\\u202F\\u205F\\u2060\\u3000\\uFEFF]+");

    /** All but the letters that got their capitals after Unicode 13: ksqlDB's Java, 17, leaves those as they are. */
    private static final Pattern WITH_CAPITALS = Pattern.compile(
            "[^\\x{19B}\\x{264}\\x{1C8A}\\x{2C5F}\\x{A7C1}\\x{A7CD}\\x{A7D1}\\x{A7D7}\\x{A7D9}\\x{A7DB}"
                    + "\\x{10597}-\\x{105A1}\\x{105A3}-\\x{105B1}\\x{105B3}-\\x{105B9}\\x{105BB}\\x{105BC}"
                    + "\\x{10D70}-\\x{10D85}]+");

    /** UCASE(TRIM(REGEXP_REPLACE(payee_bank, BLANKS, ' '))): the bank in one spelling. */
    Payment withFoldedBank() {
        if (payeeBank == null) {
            return this;
        }
        String spaced = BLANKS.matcher(payeeBank).replaceAll(" ").trim();
        String folded = WITH_CAPITALS.matcher(spaced)
                .replaceAll(run -> Matcher.quoteReplacement(run.group().toUpperCase(Locale.ROOT)));
        return new Payment(id, payorAccountNo, folded, payeeAccountNo, amount);
    }
}
