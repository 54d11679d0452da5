// Makes Kafka Streams and Kafka Connect, as they come from their makers, write dead letters; both in one process.
//
//   java -cp … DeadLetterWriters BROKERS TOPIC DLQ CONNECT_WORKER.properties CONNECT_SINK.properties
//
// Streams reads TOPIC (text → 4-byte numbers) and fails in each of the three places it knows: what is no number cannot be read, a
// number below 0 cannot be processed, a number above 1000 cannot be written. Its own handlers write to DLQ and go on.

import java.time.Duration;
import java.util.Properties;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.errors.SerializationException;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.Serializer;
import org.apache.kafka.connect.cli.ConnectStandalone;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.errors.DefaultProductionExceptionHandler;
import org.apache.kafka.streams.errors.ErrorHandlerContext;
import org.apache.kafka.streams.errors.LogAndContinueExceptionHandler;
import org.apache.kafka.streams.errors.LogAndContinueProcessingExceptionHandler;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Produced;

public class DeadLetterWriters {
    /** The letter is the library's; only that it goes on is ours: there is no such handler among its own. */
    public static class GoOn extends DefaultProductionExceptionHandler {
        @Override
        @SuppressWarnings("rawtypes")
        public Response handleSerializationError(ErrorHandlerContext context, ProducerRecord record, Exception exception,
                                                 SerializationExceptionOrigin origin) {
            return Response.resume(super.handleSerializationError(context, record, exception, origin).deadLetterQueueRecords());
        }
    }

    static int process(int number) {
        if (number < 0)
            throw new IllegalArgumentException("order " + number + " is below zero");
        return number;
    }

    static byte[] write(String topic, Integer number) {
        if (number > 1000)
            throw new SerializationException("number " + number + " does not fit");
        return new byte[] {(byte) (number / 100)};
    }

    static KafkaStreams streams(String brokers, String topic, String dlq) {
        StreamsBuilder builder = new StreamsBuilder();
        Properties p = new Properties();
        Serializer<Integer> small = DeadLetterWriters::write;

        p.put(StreamsConfig.APPLICATION_ID_CONFIG, topic + "-streams");
        p.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, brokers);
        p.put(StreamsConfig.consumerPrefix("auto.offset.reset"), "earliest");
        p.put("state.dir", System.getProperty("java.io.tmpdir"));
        p.put(StreamsConfig.ERRORS_DEAD_LETTER_QUEUE_TOPIC_NAME_CONFIG, dlq);
        p.put(StreamsConfig.DESERIALIZATION_EXCEPTION_HANDLER_CLASS_CONFIG, LogAndContinueExceptionHandler.class);
        p.put(StreamsConfig.PROCESSING_EXCEPTION_HANDLER_CLASS_CONFIG, LogAndContinueProcessingExceptionHandler.class);
        p.put(StreamsConfig.PRODUCTION_EXCEPTION_HANDLER_CLASS_CONFIG, GoOn.class);
        builder.stream(topic, Consumed.with(Serdes.String(), Serdes.Integer()))
            .mapValues(DeadLetterWriters::process)
            .to(topic + "-out", Produced.with(Serdes.String(), Serdes.serdeFrom(small, Serdes.Integer().deserializer())));
        return new KafkaStreams(builder.build(), p);
    }

    public static void main(String[] args) {
        KafkaStreams streams = streams(args[0], args[1], args[2]);

        Runtime.getRuntime().addShutdownHook(new Thread(() -> streams.close(Duration.ofSeconds(2))));
        streams.start();
        ConnectStandalone.main(new String[] {args[3], args[4]});
    }
}
