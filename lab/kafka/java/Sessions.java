package understudy.lab;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** Producers that stay open between requests, and the latches that end what runs until it is stopped. */
final class Sessions {
  private final Map<String, KafkaProducer<byte[], byte[]>> producers = new ConcurrentHashMap<>();
  private final Map<String, CountDownLatch> running = new ConcurrentHashMap<>();

  void open(Client.Request r) {
    Properties p = r.config();
    KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(p, new ByteArraySerializer(), new ByteArraySerializer());
    try {
      if (p.containsKey("transactional.id")) {
        producer.initTransactions();
      }
    } catch (RuntimeException e) {
      producer.close(java.time.Duration.ZERO);
      throw e;
    }
    producers.put(r.text("session"), producer);
  }

  void control(Client.Request r) {
    KafkaProducer<byte[], byte[]> producer = producer(r, "session");
    switch (r.verb()) {
      case "begin" -> producer.beginTransaction();
      case "commit" -> producer.commitTransaction();
      case "abort" -> producer.abortTransaction();
      default -> {
        producers.remove(r.text("session"));
        producer.close(java.time.Duration.ofSeconds(5));
      }
    }
  }

  /** Sends the records in order and answers each as it is acknowledged or refused; ends when all are. */
  void send(Client.Request r) throws IOException, InterruptedException {
    KafkaProducer<byte[], byte[]> producer = producer(r, "session");
    Unanswered open = new Unanswered();
    for (JsonNode n : r.body().get("records")) {
      Integer partition = n.path("partition").asInt(-1) < 0 ? null : Integer.valueOf(n.get("partition").asInt());
      Long timestamp = n.path("timestamp").asLong(0) <= 0 ? null : Long.valueOf(n.get("timestamp").asLong());
      ProducerRecord<byte[], byte[]> record =
          new ProducerRecord<>(n.get("topic").asText(), partition, timestamp, bytes(n.get("key")), bytes(n.get("value")));
      for (JsonNode h : n.path("headers")) {
        record.headers().add(h.get("key").asText(), bytes(h.get("value")));
      }
      dispatch(r, producer, record, n.path("ref").asText(), open);
    }
    producer.flush();
    open.await();
  }

  /** Sends numbered records at a rate until it is stopped. */
  void load(Client.Request r) throws InterruptedException {
    KafkaProducer<byte[], byte[]> producer = producer(r, "producer");
    String topic = r.text("topic"), prefix = r.text("prefix");
    int partitions = r.body().get("partitions").asInt(), size = r.body().get("size").asInt();
    long gap = TimeUnit.SECONDS.toNanos(1) / Math.max(1, r.body().get("rate").asLong());
    CountDownLatch stop = begin(r);
    Unanswered open = new Unanswered();
    long next = System.nanoTime();
    for (long i = 0; !stop.await(Math.max(0, next - System.nanoTime()), TimeUnit.NANOSECONDS); i++) {
      next += gap;
      String ref = prefix + "-" + i;
      byte[] value = java.util.Arrays.copyOf((ref + " ").getBytes(java.nio.charset.StandardCharsets.UTF_8), Math.max(size, ref.length() + 1));
      byte[] key = ref.getBytes(java.nio.charset.StandardCharsets.UTF_8);
      dispatch(r, producer, new ProducerRecord<>(topic, (int) (i % partitions), key, value), ref, open);
    }
    producer.flush();
    open.await();
  }

  private static void dispatch(Client.Request r, KafkaProducer<byte[], byte[]> producer, ProducerRecord<byte[], byte[]> record,
      String ref, Unanswered open) {
    open.add();
    long sent = System.currentTimeMillis();
    try {
      producer.send(record, (meta, e) -> {
        acknowledge(r, ref, sent, meta, e);
        open.answered();
      });
    } catch (RuntimeException e) {
      acknowledge(r, ref, sent, null, e);
      open.answered();
    }
  }

  /** Counts the records that are on their way; a load has more of them than a Phaser takes. */
  private static final class Unanswered {
    private long count;

    synchronized void add() {
      count++;
    }

    synchronized void answered() {
      count--;
      notifyAll();
    }

    synchronized void await() throws InterruptedException {
      while (count > 0) {
        wait();
      }
    }
  }

  private static void acknowledge(Client.Request r, String ref, long sent, RecordMetadata meta, Exception e) {
    ObjectNode n = Client.JSON.createObjectNode();
    n.put("ref", ref).put("sent", sent).put("answered", System.currentTimeMillis());
    if (e != null) {
      r.reply("refused", n.put("error", Client.describe(e)));
      return;
    }
    n.put("topic", meta.topic()).put("partition", meta.partition()).put("offset", meta.offset()).put("timestamp", meta.timestamp());
    r.reply("ack", n);
  }

  /** Announces something that runs until "stop" names its session. */
  CountDownLatch begin(Client.Request r) {
    CountDownLatch stop = new CountDownLatch(1);
    running.put(r.text("session"), stop);
    r.reply("started", Client.JSON.getNodeFactory().booleanNode(true));
    return stop;
  }

  void stop(String session) {
    CountDownLatch stop = running.remove(session);
    if (stop == null) {
      throw new IllegalArgumentException("nothing runs in session " + session);
    }
    stop.countDown();
  }

  private KafkaProducer<byte[], byte[]> producer(Client.Request r, String field) {
    KafkaProducer<byte[], byte[]> producer = producers.get(r.text(field));
    if (producer == null) {
      throw new IllegalArgumentException("no producer " + r.text(field));
    }
    return producer;
  }

  private static byte[] bytes(JsonNode n) throws IOException {
    return n == null || n.isNull() ? null : n.binaryValue();
  }
}
