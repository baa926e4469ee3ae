package streams;

import com.fasterxml.jackson.databind.util.ByteBufferBackedInputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Map;

/** JSON, which says by itself what it holds. */
final class JsonDecoder implements PayloadDecoder {
    @Override
    public Fields decode(ByteBuffer payload) throws IOException {
        Map<?, ?> object = Json.MAPPER.readValue(new ByteBufferBackedInputStream(payload), Map.class);
        return object::get;
    }
}
