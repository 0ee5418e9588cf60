import com.fasterxml.jackson.annotation.JsonIgnoreProperties;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.ObjectReader;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.Stores;
import org.apache.kafka.streams.state.WindowStore;

/**
 * Kafka Streams counting by bank x method x status in windows of five seconds: one thread, a window store in memory
 * without a changelog. A processor and no groupBy, which would write everything to a repartition topic first: the
 * lightest program that counts. Measured from the first event to the last.
 */
public final class CountPanes {
    private static final Duration PANE = Duration.ofSeconds(5);
    private static final Duration KEPT = Duration.ofDays(2);

    /** What is counted by. */
    @JsonIgnoreProperties(ignoreUnknown = true)
    public record Payment(String bank, String method, String status) {}

    /** Counts each event in its pane; after the last it says what it took, and ends the process. */
    private static final class Count implements Processor<byte[], byte[], Void, Void> {
        private final ObjectReader payments = new ObjectMapper().readerFor(Payment.class);
        private final long events;
        private WindowStore<String, Long> counts;
        private long seen;
        private double wallS, cpuS;

        Count(long events) {
            this.events = events;
        }

        @Override
        public void init(ProcessorContext<Void, Void> context) {
            counts = context.getStateStore("counts");
        }

        @Override
        public void process(Record<byte[], byte[]> record) {
            if (seen == 0) {
                wallS = wallS();
                cpuS = cpuS();
            }
            try {
                Payment payment = payments.readValue(record.value());
                String leaf = payment.bank() + "/" + payment.method() + "/" + payment.status();
                long pane = record.timestamp() / PANE.toMillis() * PANE.toMillis();
                Long before = counts.fetch(leaf, pane);
                counts.put(leaf, before == null ? 1 : before + 1, pane);
                if (++seen == events) {
                    say(wallS() - wallS, cpuS() - cpuS);
                }
            } catch (IOException error) {
                throw new UncheckedIOException(error);
            }
        }

        private void say(double wall, double cpu) throws IOException {
            long total = 0;
            try (var all = counts.fetchAll(Instant.EPOCH, Instant.ofEpochMilli(Long.MAX_VALUE / 2))) {
                while (all.hasNext()) {
                    total += all.next().value;
                }
            }
            String line = "%n{\"events\": %d, \"counted\": %d, \"wall_s\": %.6f, \"cpu_s\": %.6f, \"peak_mb\": %.1f}%n";
            System.out.printf(line, seen, total, wall, cpu, peakMb());
            System.out.flush();
            Runtime.getRuntime().halt(0);
        }
    }

    private static double wallS() {
        return System.nanoTime() / 1e9;
    }

    private static double cpuS() {
        return ProcessHandle.current().info().totalCpuDuration().orElseThrow().toNanos() / 1e9;
    }

    /** The most memory resident; 0 where the system does not say. */
    private static double peakMb() throws IOException {
        Path status = Path.of("/proc/self/status");
        if (!Files.exists(status)) {
            return 0;
        }
        String line = Files.readAllLines(status).stream().filter(one -> one.startsWith("VmHWM:")).findFirst().get();
        return Double.parseDouble(line.replaceAll("\\D+", "")) / 1024;
    }

    /** Arguments: broker, topic, group, events, bytes of a fetch. */
    public static void main(String[] arguments) throws IOException {
        Properties settings = new Properties();
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, arguments[0]);
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, arguments[2]);
        settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 1);
        settings.put(StreamsConfig.STATE_DIR_CONFIG, Files.createTempDirectory("pastille-bench-").toString());
        settings.put(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "earliest");
        settings.put(ConsumerConfig.MAX_PARTITION_FETCH_BYTES_CONFIG, arguments[4]);
        settings.put(ConsumerConfig.MAX_POLL_RECORDS_CONFIG, 10_000);
        var store = Stores.windowStoreBuilder(
            Stores.inMemoryWindowStore("counts", KEPT, PANE, false), Serdes.String(), Serdes.Long());
        StreamsBuilder builder = new StreamsBuilder();
        builder.addStateStore(store.withLoggingDisabled());
        long events = Long.parseLong(arguments[3]);
        builder.stream(arguments[1], Consumed.with(Serdes.ByteArray(), Serdes.ByteArray()))
            .process(() -> new Count(events), "counts");
        new KafkaStreams(builder.build(), settings).start();
    }
}
