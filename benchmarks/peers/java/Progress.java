import com.sun.management.OperatingSystemMXBean;
import java.lang.management.ManagementFactory;
import java.util.Locale;
import java.util.concurrent.CountDownLatch;

/** What the stream thread has done, and what it took; no other thread touches it before `done`. */
final class Progress {
    final CountDownLatch done = new CountDownLatch(1);
    private final long payments;
    private long read;
    private long passed;
    private long added;
    private long beganNanos;
    private long endedNanos;
    private long startupCpuNanos;
    private long cpuNanos;

    Progress(long payments) {
        this.payments = payments;
    }

    /** Before a payment is decoded. */
    void read() {
        if (read++ == 0) {
            beganNanos = System.nanoTime();
            startupCpuNanos = processCpuNanos();
        }
    }

    /** For a payment that goes on to a window. */
    void passed() {
        passed++;
    }

    /** For a payment that is in its window. */
    void added() {
        added++;
    }

    /** After each commit. */
    void committed() {
        if (read >= payments && added == passed && done.getCount() > 0) {
            endedNanos = System.nanoTime();
            cpuNanos = processCpuNanos();
            done.countDown();
        }
    }

    /** The result, as JSON. */
    String line() {
        return String.format(
                Locale.ROOT,
                "{\"payments\": %d, \"wall_seconds\": %.3f, \"cpu_seconds\": %.3f, \"startup_cpu_seconds\": %.3f}",
                read, (endedNanos - beganNanos) / 1e9, cpuNanos / 1e9, startupCpuNanos / 1e9);
    }

    private static long processCpuNanos() {
        return ((OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean()).getProcessCpuTime();
    }
}
