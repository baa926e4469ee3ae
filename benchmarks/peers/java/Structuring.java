import java.time.Duration;
import org.apache.kafka.streams.kstream.TimeWindows;

/** The rule: payments of one payor to one payee, each below $10,000, together above it on one UTC day. */
final class Structuring {
    static final Duration SIZE = Duration.ofHours(24);
    static final Duration GRACE = Duration.ofHours(1);
    static final TimeWindows WINDOWS = TimeWindows.ofSizeAndGrace(SIZE, GRACE);
    private static final double BELOW = 10_000;
    private static final long CENTS_ABOVE = 10_000_00;

    static boolean takes(Payment payment) {
        return payment.amount() < BELOW;
    }

    static boolean fires(long cents) {
        return cents > CENTS_ABOVE;
    }

    /** The payor, the payee's bank, which alone may hold a `|`, and the payee's account there. */
    static String pair(Payment payment) {
        return payment.payorAccountNo() + "|" + payment.payeeBank() + "|" + payment.payeeAccountNo();
    }
}
