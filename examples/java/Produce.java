import java.io.ByteArrayOutputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.ByteBuffer;
import java.util.Map;
import java.util.Properties;
import java.util.UUID;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericDatumWriter;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.generic.GenericRecordBuilder;
import org.apache.avro.io.BinaryEncoder;
import org.apache.avro.io.EncoderFactory;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * Sends one task to Stepmill with plain kafka-clients and avro; with Confluent's KafkaAvroSerializer the framing is done for you.
 *
 * <pre>mvn -q compile exec:java -Dexec.args='orders my-session "Order o-9001: 1 x SKU-7 to 1 Elm Street"'</pre>
 *
 * Environment: KAFKA (127.0.0.1:29092), REGISTRY (http://127.0.0.1:28081/apis/ccompat/v7).
 */
public final class Produce {
    private static String env(String name, String otherwise) {
        return System.getenv().getOrDefault(name, otherwise);
    }

    private static byte[] encode(Schema schema, GenericRecord task, int id) throws Exception {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        out.write(0); // Confluent wire format: 0, schema id, Avro
        out.write(ByteBuffer.allocate(4).putInt(id).array());
        BinaryEncoder encoder = EncoderFactory.get().binaryEncoder(out, null);
        new GenericDatumWriter<GenericRecord>(schema).write(task, encoder);
        encoder.flush();
        return out.toByteArray();
    }

    public static void main(String[] args) throws Exception {
        String topic = "agent.tasks." + args[0];
        String url = env("REGISTRY", "http://127.0.0.1:28081/apis/ccompat/v7") + "/subjects/" + topic + "-value/versions/latest";
        HttpResponse<String> answer = HttpClient.newHttpClient().send(HttpRequest.newBuilder(URI.create(url)).build(), HttpResponse.BodyHandlers.ofString());
        if (answer.statusCode() != 200) {
            throw new IllegalStateException("registry answers " + answer.statusCode() + "; run: stepmill schemas register");
        }
        Map<?, ?> version = new com.fasterxml.jackson.databind.ObjectMapper().readValue(answer.body(), Map.class);
        Schema schema = new Schema.Parser().parse((String) version.get("schema"));
        String taskId = UUID.randomUUID().toString();
        GenericData.Record task = new GenericRecordBuilder(schema)
            .set("task_id", taskId).set("source_agent", "example").set("target_agent", args[0]).set("session_id", args[1])
            .set("prompt", args[2]).set("context", Map.of()).set("created_at", System.currentTimeMillis()).build();

        Properties config = new Properties();
        config.put("bootstrap.servers", env("KAFKA", "127.0.0.1:29092"));
        try (KafkaProducer<String, byte[]> producer = new KafkaProducer<>(config, new StringSerializer(), new ByteArraySerializer())) {
            producer.send(new ProducerRecord<>(topic, args[1], encode(schema, task, (Integer) version.get("id")))).get();
        }
        System.out.println("sent " + taskId + " to " + topic);
    }
}
