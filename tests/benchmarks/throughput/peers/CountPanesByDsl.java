import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.ObjectReader;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.time.Duration;
import java.time.Instant;
import java.util.Properties;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StoreQueryParameters;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Repartitioned;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.processor.api.ContextualFixedKeyProcessor;
import org.apache.kafka.streams.processor.api.FixedKeyRecord;
import org.apache.kafka.streams.state.QueryableStoreTypes;
import org.apache.kafka.streams.state.Stores;

/**
 * The counts of `CountPanes` as the documents of Kafka Streams write them: `groupBy` and `count`, one thread, stores in
 * memory without a changelog, the results passed on each second. What is grouped goes through a repartition topic.
 * `payments` keeps a table of the newest status of each payment and counts its rows, which takes one more; `events`
 * counts every event in windows. Measured from the first event to when the counts have all.
 */
public final class CountPanesByDsl {
    private static final long LOOK_MS = 20;
    private static final Serde<String> TEXT = Serdes.String();
    private static final ObjectReader STATUS = new ObjectMapper().readerFor(CountPanes.Status.class);
    private static final AtomicLong SEEN = new AtomicLong();
    private static final AtomicLong KEPT = new AtomicLong();
    private static volatile double wallS, cpuS;

    private static CountPanes.Status status(byte[] value) {
        if (SEEN.getAndIncrement() == 0) {
            wallS = CountPanes.wallS();
            cpuS = CountPanes.cpuS();
        }
        try {
            return STATUS.readValue(value);
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }

    private static String leaf(CountPanes.Status event) {
        return event.bank() + "/" + event.method() + "/" + event.status();
    }

    /** Puts the pane of the record before its text. */
    private static final class InPane extends ContextualFixedKeyProcessor<String, String, String> {
        @Override
        public void process(FixedKeyRecord<String, String> record) {
            context().forward(record.withValue(CountPanes.pane(record.timestamp()) + "/" + record.value()));
        }
    }

    private static void byEvents(KStream<String, CountPanes.Status> events) {
        var panes = Stores.inMemoryWindowStore("counts", CountPanes.KEPT, CountPanes.PANE, false);
        events.mapValues(CountPanesByDsl::leaf)
            .groupBy((key, leaf) -> leaf, Grouped.with(TEXT, TEXT))
            .windowedBy(TimeWindows.ofSizeWithNoGrace(CountPanes.PANE))
            .count(Materialized.<String, Long>as(panes).withKeySerde(TEXT).withLoggingDisabled());
    }

    private static void byPayments(KStream<String, CountPanes.Status> events) {
        var newest = Materialized.<String, String>as(Stores.inMemoryKeyValueStore("payments"));
        var counts = Materialized.<String, Long>as(Stores.inMemoryKeyValueStore("counts"));
        events.map((key, event) -> KeyValue.pair(event.payment(), leaf(event)))
            .repartition(Repartitioned.with(TEXT, TEXT))
            .processValues(InPane::new)
            .peek((payment, leaf) -> KEPT.incrementAndGet())
            .toTable(newest.withKeySerde(TEXT).withValueSerde(TEXT).withLoggingDisabled())
            .groupBy((payment, leaf) -> KeyValue.pair(leaf, leaf), Grouped.with(TEXT, TEXT))
            .count(counts.withKeySerde(TEXT).withLoggingDisabled());
    }

    private static long counted(KafkaStreams streams, boolean upserts) {
        long total = 0;
        if (upserts) {
            var type = QueryableStoreTypes.<String, Long>keyValueStore();
            try (var all = streams.store(StoreQueryParameters.fromNameAndType("counts", type)).all()) {
                while (all.hasNext()) {
                    total += all.next().value;
                }
            }
            return total;
        }
        var type = QueryableStoreTypes.<String, Long>windowStore();
        var store = streams.store(StoreQueryParameters.fromNameAndType("counts", type));
        try (var all = store.fetchAll(Instant.EPOCH, Instant.ofEpochMilli(Long.MAX_VALUE / 2))) {
            while (all.hasNext()) {
                total += all.next().value;
            }
        }
        return total;
    }

    /** How many payments there are, all of which the counts must have; of `events` each is one. */
    private static long wanted(KafkaStreams streams, boolean upserts, long events) {
        if (!upserts) {
            return events;
        }
        var type = QueryableStoreTypes.<String, String>keyValueStore();
        return streams.store(StoreQueryParameters.fromNameAndType("payments", type)).approximateNumEntries();
    }

    /** Arguments as those of `CountPanes`. */
    public static void main(String[] arguments) throws IOException, InterruptedException {
        long events = Long.parseLong(arguments[3]);
        boolean upserts = arguments[5].equals("payments");
        Properties settings = CountPanes.settings(arguments);
        settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, Duration.ofSeconds(1).toMillis());
        StreamsBuilder builder = new StreamsBuilder();
        var read = builder.stream(arguments[1], Consumed.with(TEXT, Serdes.ByteArray()))
            .mapValues(CountPanesByDsl::status);
        if (upserts) {
            byPayments(read);
        } else {
            byEvents(read);
        }
        KafkaStreams streams = new KafkaStreams(builder.build(), settings);
        streams.start();
        while (SEEN.get() < events || (upserts && KEPT.get() < events)) {
            Thread.sleep(LOOK_MS);
        }
        long missing = events;
        while (missing != 0) {
            Thread.sleep(LOOK_MS);
            missing = wanted(streams, upserts, events) - counted(streams, upserts);
        }
        CountPanes.say(SEEN.get(), events - missing, CountPanes.wallS() - wallS, CountPanes.cpuS() - cpuS);
        Runtime.getRuntime().halt(0);
    }
}
