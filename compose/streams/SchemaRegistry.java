package streams;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.kafka.common.errors.SerializationException;

/** Schemas by their ids, by Confluent's API; each is asked for once, because an id never changes its schema. */
public final class SchemaRegistry {
    private static final Duration TIMEOUT = Duration.ofSeconds(10);

    /** A registry that does not answer: no fault of the record, which is read again later. */
    static final class Unavailable extends RuntimeException {
        Unavailable(String message, Throwable cause) {
            super(message, cause);
        }
    }

    private final HttpClient client = HttpClient.newBuilder().connectTimeout(TIMEOUT).build();
    private final Map<Integer, PayloadDecoder> decoders = new ConcurrentHashMap<>();
    private final String url;

    public SchemaRegistry(String url) {
        this.url = url;
    }

    /** A decoder of payloads that were written with this schema; throws Unavailable, SerializationException. */
    PayloadDecoder decoder(int id) {
        return decoders.computeIfAbsent(id, this::fetch);
    }

    private PayloadDecoder fetch(int id) {
        HttpResponse<byte[]> response = get(URI.create(url + "/schemas/ids/" + id));
        if (response.statusCode() == 404) {
            throw new SerializationException("no schema has the id " + id);
        }
        if (response.statusCode() != 200) {
            throw new Unavailable("the registry answered " + response.statusCode(), null);
        }
        JsonNode answer = Json.read(response.body(), JsonNode.class);
        String schema = answer.path("schema").asText();
        return switch (answer.path("schemaType").asText("AVRO")) { // which the API leaves out
            case "AVRO" -> new AvroDecoder(schema);
            case "PROTOBUF" -> new ProtobufDecoder(schema);
            case "JSON" -> new JsonDecoder();
            default -> throw new SerializationException("schema " + id + " is of no type that is read here");
        };
    }

    private HttpResponse<byte[]> get(URI address) {
        HttpRequest request = HttpRequest.newBuilder(address).timeout(TIMEOUT).build();
        try {
            return client.send(request, BodyHandlers.ofByteArray());
        } catch (IOException error) {
            throw new Unavailable("the registry does not answer: " + error, error);
        } catch (InterruptedException error) {
            Thread.currentThread().interrupt();
            throw new Unavailable("interrupted", error);
        }
    }
}
