import com.fasterxml.jackson.annotation.JsonIgnoreProperties;
import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.ObjectReader;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;
import org.apache.kafka.streams.state.WindowStore;

/**
 * Kafka Streams counting by bank x method x status in windows of five seconds: one thread, stores in memory without a
 * changelog. `payments` moves a payment whose status is new from one count to the other, by a second store of what is
 * known of each; `events` counts every event. A processor and no groupBy, which would write everything to a
 * repartition topic first: the lightest programs that count. Measured from the first event to the last.
 */
public final class CountPanes {
    static final Duration PANE = Duration.ofSeconds(5);
    static final Duration KEPT = Duration.ofDays(2);

    /** What is counted by. */
    @JsonIgnoreProperties(ignoreUnknown = true)
    public record Event(String bank, String method, String status) {}

    /** An event, and the payment it is of. */
    @JsonIgnoreProperties(ignoreUnknown = true)
    public record Status(@JsonProperty("payment_id") String payment, String bank, String method, String status) {}

    private static String leaf(String bank, String method, String status) {
        return bank + "/" + method + "/" + status;
    }

    /** What is known of a payment: when its status is from, its pane, and where it is counted. */
    private record Known(long at, long pane, String leaf) {
        static Serde<Known> serde() {
            return Serdes.serdeFrom((topic, known) -> known.bytes(), (topic, bytes) -> of(bytes));
        }

        private byte[] bytes() {
            byte[] text = leaf.getBytes(StandardCharsets.UTF_8);
            return ByteBuffer.allocate(2 * Long.BYTES + text.length).putLong(at).putLong(pane).put(text).array();
        }

        private static Known of(byte[] bytes) {
            if (bytes == null) {
                return null;
            }
            ByteBuffer from = ByteBuffer.wrap(bytes);
            int text = 2 * Long.BYTES;
            long at = from.getLong();
            long pane = from.getLong();
            return new Known(at, pane, new String(bytes, text, bytes.length - text, StandardCharsets.UTF_8));
        }
    }

    /** Counts each event, or each payment, in its pane; after the last it says what it took, and ends the process. */
    private static final class Count implements Processor<byte[], byte[], Void, Void> {
        private final ObjectReader reader;
        private final long events;
        private final boolean upserts;
        private WindowStore<String, Long> counts;
        private KeyValueStore<String, Known> payments;
        private long seen;
        private long replaced;
        private double wallS, cpuS;

        Count(long events, boolean upserts) {
            this.events = events;
            this.upserts = upserts;
            reader = new ObjectMapper().readerFor(upserts ? Status.class : Event.class);
        }

        @Override
        public void init(ProcessorContext<Void, Void> context) {
            counts = context.getStateStore("counts");
            payments = upserts ? context.getStateStore("payments") : null;
        }

        @Override
        public void process(Record<byte[], byte[]> record) {
            if (seen == 0) {
                wallS = wallS();
                cpuS = cpuS();
            }
            try {
                if (upserts) {
                    upsert(reader.readValue(record.value()), record.timestamp());
                } else {
                    Event event = reader.readValue(record.value());
                    add(leaf(event.bank(), event.method(), event.status()), pane(record.timestamp()), 1);
                }
                if (++seen == events) {
                    say(seen, counted(), wallS() - wallS, cpuS() - cpuS);
                    Runtime.getRuntime().halt(0);
                }
            } catch (IOException error) {
                throw new UncheckedIOException(error);
            }
        }

        private void upsert(Status event, long at) {
            Known before = payments.get(event.payment());
            if (before != null) {
                replaced++;
                if (at < before.at()) {
                    return;
                }
                add(before.leaf(), before.pane(), -1);
            }
            Known now = new Known(
                at, before == null ? pane(at) : before.pane(), leaf(event.bank(), event.method(), event.status()));
            add(now.leaf(), now.pane(), 1);
            payments.put(event.payment(), now);
        }

        private void add(String leaf, long pane, long more) {
            Long before = counts.fetch(leaf, pane);
            counts.put(leaf, before == null ? more : before + more, pane);
        }

        private long counted() {
            long total = replaced;
            try (var all = counts.fetchAll(Instant.EPOCH, Instant.ofEpochMilli(Long.MAX_VALUE / 2))) {
                while (all.hasNext()) {
                    total += all.next().value;
                }
            }
            return total;
        }
    }

    static void say(long events, long counted, double wall, double cpu) throws IOException {
        String line = "%n{\"events\": %d, \"counted\": %d, \"wall_s\": %.6f, \"cpu_s\": %.6f, \"peak_mb\": %.1f}%n";
        System.out.printf(line, events, counted, wall, cpu, peakMb());
        System.out.flush();
    }

    static long pane(long at) {
        return at - at % PANE.toMillis();
    }

    static double wallS() {
        return System.nanoTime() / 1e9;
    }

    static double cpuS() {
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

    /** Arguments: broker, topic, group, events, bytes of a fetch, `events` or `payments`. */
    static Properties settings(String[] arguments) throws IOException {
        Properties settings = new Properties();
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, arguments[0]);
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, arguments[2]);
        settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 1);
        settings.put(StreamsConfig.STATE_DIR_CONFIG, Files.createTempDirectory("pastille-bench-").toString());
        settings.put(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "earliest");
        settings.put(ConsumerConfig.MAX_PARTITION_FETCH_BYTES_CONFIG, arguments[4]);
        settings.put(ConsumerConfig.MAX_POLL_RECORDS_CONFIG, 10_000);
        return settings;
    }

    /** Arguments: those of `settings`. */
    public static void main(String[] arguments) throws IOException {
        Properties settings = settings(arguments);
        long events = Long.parseLong(arguments[3]);
        StreamsBuilder builder = new StreamsBuilder();
        var stream = builder.stream(arguments[1], Consumed.with(Serdes.ByteArray(), Serdes.ByteArray()));
        var panes = Stores.inMemoryWindowStore("counts", KEPT, PANE, false);
        builder.addStateStore(Stores.windowStoreBuilder(panes, Serdes.String(), Serdes.Long()).withLoggingDisabled());
        if (arguments[5].equals("payments")) {
            var known = Stores.inMemoryKeyValueStore("payments");
            builder.addStateStore(
                Stores.keyValueStoreBuilder(known, Serdes.String(), Known.serde()).withLoggingDisabled());
            stream.process(() -> new Count(events, true), "counts", "payments");
        } else {
            stream.process(() -> new Count(events, false), "counts");
        }
        new KafkaStreams(builder.build(), settings).start();
    }
}
