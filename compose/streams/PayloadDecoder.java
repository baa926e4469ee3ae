package streams;

import java.io.IOException;
import java.nio.ByteBuffer;

/** Reads what stands behind the header of the wire format. */
interface PayloadDecoder {
    /** A payload's fields; throws IOException or any RuntimeException where it is not what its schema says. */
    Fields decode(ByteBuffer payload) throws IOException;

    /** The fields of a record by name, null where there is none. */
    interface Fields {
        Object get(String name);
    }
}
