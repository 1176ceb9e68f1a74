package understudy.lab;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/** A member of a consumer group that reads until it is stopped, and commits after every poll if asked to. */
final class Member {
  private static final Duration POLL = Duration.ofMillis(50);

  private Member() {}

  static void run(Sessions sessions, Client.Request r) {
    Properties p = r.config();
    p.put("enable.auto.commit", "false");
    List<String> topics = new ArrayList<>();
    for (JsonNode t : r.body().get("topics")) {
      topics.add(t.asText());
    }
    boolean commit = r.body().path("commit").asBoolean();
    CountDownLatch stop = sessions.begin(r);
    try (KafkaConsumer<byte[], byte[]> c = new KafkaConsumer<>(p, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
      c.subscribe(topics, new Assigned(r));
      while (stop.getCount() > 0) {
        ConsumerRecords<byte[], byte[]> records = c.poll(POLL);
        for (ConsumerRecord<byte[], byte[]> record : records) {
          r.reply("record", Dump.json(record));
        }
        if (commit && !records.isEmpty()) {
          c.commitSync();
        }
      }
    }
  }

  /** Reports which partitions the member was given. */
  private record Assigned(Client.Request request) implements ConsumerRebalanceListener {
    @Override
    public void onPartitionsRevoked(Collection<TopicPartition> gone) {}

    @Override
    public void onPartitionsAssigned(Collection<TopicPartition> given) {
      ArrayNode n = Client.JSON.createArrayNode();
      given.forEach(tp -> n.addObject().put("topic", tp.topic()).put("partition", tp.partition()));
      request.reply("assigned", n);
    }
  }
}
