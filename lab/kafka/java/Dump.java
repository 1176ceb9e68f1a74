package understudy.lab;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.PartitionInfo;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/** Reads every record of the topics' partitions between their first and their end offset at the time of asking, and prints it unless told not to. */
final class Dump {
  private static final Duration POLL = Duration.ofMillis(200);

  private Dump() {}

  static void run(Client.Request r) {
    Properties p = r.config();
    p.put("auto.offset.reset", "none");
    p.put("check.crcs", "true");
    p.put("enable.auto.commit", "false");
    try (KafkaConsumer<byte[], byte[]> c = new KafkaConsumer<>(p, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
      List<TopicPartition> all = new ArrayList<>();
      for (JsonNode topic : r.body().get("topics")) {
        List<PartitionInfo> infos = c.partitionsFor(topic.asText());
        if (infos == null || infos.isEmpty()) {
          throw new IllegalArgumentException("no topic " + topic.asText());
        }
        infos.forEach(i -> all.add(new TopicPartition(i.topic(), i.partition())));
      }
      read(c, all, r);
    }
  }

  private static void read(KafkaConsumer<byte[], byte[]> c, List<TopicPartition> all, Client.Request r) {
    Map<TopicPartition, Long> starts = c.beginningOffsets(all);
    Map<TopicPartition, Long> ends = c.endOffsets(all);
    c.assign(all);
    starts.forEach(c::seek);
    Set<TopicPartition> open = new HashSet<>(all);
    boolean silent = r.body().path("silent").asBoolean();
    while (true) {
      open.removeIf(tp -> c.position(tp) >= ends.get(tp) && finish(c, tp, starts, ends, r));
      if (open.isEmpty()) {
        return;
      }
      for (ConsumerRecord<byte[], byte[]> record : c.poll(POLL)) {
        if (!silent && record.offset() < ends.get(new TopicPartition(record.topic(), record.partition()))) {
          r.reply("record", json(record));
        }
      }
    }
  }

  private static boolean finish(KafkaConsumer<byte[], byte[]> c, TopicPartition tp, Map<TopicPartition, Long> starts,
      Map<TopicPartition, Long> ends, Client.Request r) {
    ObjectNode n = Client.JSON.createObjectNode();
    n.put("topic", tp.topic()).put("partition", tp.partition());
    n.put("start", starts.get(tp)).put("end", ends.get(tp)).put("position", c.position(tp));
    r.reply("range", n);
    c.pause(List.of(tp));
    return true;
  }

  static ObjectNode json(ConsumerRecord<byte[], byte[]> record) {
    ObjectNode n = Client.JSON.createObjectNode();
    n.put("topic", record.topic()).put("partition", record.partition()).put("offset", record.offset());
    n.put("timestamp", record.timestamp()).put("timestampType", record.timestampType().toString());
    n.put("key", record.key()).put("value", record.value());
    ArrayNode headers = n.putArray("headers");
    for (Header h : record.headers()) {
      headers.addObject().put("key", h.key()).put("value", h.value());
    }
    return n;
  }
}
