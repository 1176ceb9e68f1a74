package understudy.lab;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.acl.AccessControlEntry;
import org.apache.kafka.common.acl.AclBinding;
import org.apache.kafka.common.acl.AclBindingFilter;
import org.apache.kafka.common.acl.AclOperation;
import org.apache.kafka.common.acl.AclPermissionType;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.resource.PatternType;
import org.apache.kafka.common.resource.ResourcePattern;
import org.apache.kafka.common.resource.ResourceType;

/** What Kafka's own administration client is asked to do or to tell. */
final class Admins {
  private Admins() {}

  static void run(Client.Request r) throws Exception {
    try (Admin a = Admin.create(r.config())) {
      switch (r.verb()) {
        case "create-topics" -> createTopics(a, r);
        case "delete-topics" -> a.deleteTopics(names(r.body().get("topics"))).all().get();
        case "delete-records" -> a.deleteRecords(before(r)).all().get();
        case "set-configs" -> setConfigs(a, r);
        case "configs" -> configs(a, r);
        case "set-offsets" -> a.alterConsumerGroupOffsets(r.text("group"), positions(r)).all().get();
        case "offsets" -> offsets(a, r);
        case "create-acls" -> createAcls(a, r);
        default -> acls(a, r);
      }
    }
  }

  private static void createTopics(Admin a, Client.Request r) throws Exception {
    List<NewTopic> topics = new ArrayList<>();
    for (JsonNode n : r.body().get("topics")) {
      topics.add(new NewTopic(n.get("name").asText(), n.get("partitions").asInt(), (short) -1).configs(texts(n.path("configs"))));
    }
    a.createTopics(topics).all().get();
  }

  private static void setConfigs(Admin a, Client.Request r) throws Exception {
    List<AlterConfigOp> ops = new ArrayList<>();
    r.body().get("configs").fields().forEachRemaining(e -> ops.add(new AlterConfigOp(
        new ConfigEntry(e.getKey(), e.getValue().isNull() ? null : e.getValue().asText()),
        e.getValue().isNull() ? AlterConfigOp.OpType.DELETE : AlterConfigOp.OpType.SET)));
    a.incrementalAlterConfigs(Map.of(new ConfigResource(ConfigResource.Type.TOPIC, r.text("topic")), ops)).all().get();
  }

  private static void configs(Admin a, Client.Request r) throws Exception {
    ConfigResource topic = new ConfigResource(ConfigResource.Type.TOPIC, r.text("topic"));
    ObjectNode all = Client.JSON.createObjectNode();
    for (ConfigEntry e : a.describeConfigs(List.of(topic)).all().get().get(topic).entries()) {
      all.putObject(e.name()).put("value", e.value()).put("source", e.source().name());
    }
    r.reply("configs", all);
  }

  private static void offsets(Admin a, Client.Request r) throws Exception {
    for (Map.Entry<TopicPartition, OffsetAndMetadata> e :
        a.listConsumerGroupOffsets(r.text("group")).partitionsToOffsetAndMetadata().get().entrySet()) {
      if (e.getValue() != null) {
        r.reply("offset", partition(e.getKey()).put("offset", e.getValue().offset()).put("metadata", e.getValue().metadata()));
      }
    }
  }

  private static void createAcls(Admin a, Client.Request r) throws Exception {
    List<AclBinding> bindings = new ArrayList<>();
    for (JsonNode n : r.body().get("acls")) {
      ResourcePattern on = new ResourcePattern(ResourceType.valueOf(n.get("type").asText()), n.get("name").asText(),
          PatternType.valueOf(n.path("pattern").asText("LITERAL")));
      bindings.add(new AclBinding(on, new AccessControlEntry(n.get("principal").asText(), "*",
          AclOperation.valueOf(n.get("operation").asText()), AclPermissionType.valueOf(n.get("permission").asText()))));
    }
    a.createAcls(bindings).all().get();
  }

  private static void acls(Admin a, Client.Request r) throws Exception {
    for (AclBinding b : a.describeAcls(AclBindingFilter.ANY).values().get()) {
      ObjectNode n = Client.JSON.createObjectNode();
      n.put("type", b.pattern().resourceType().name()).put("name", b.pattern().name()).put("pattern", b.pattern().patternType().name());
      n.put("principal", b.entry().principal()).put("operation", b.entry().operation().name());
      r.reply("acl", n.put("permission", b.entry().permissionType().name()));
    }
  }

  private static Map<TopicPartition, RecordsToDelete> before(Client.Request r) {
    Map<TopicPartition, RecordsToDelete> all = new HashMap<>();
    positions(r).forEach((tp, o) -> all.put(tp, RecordsToDelete.beforeOffset(o.offset())));
    return all;
  }

  private static Map<TopicPartition, OffsetAndMetadata> positions(Client.Request r) {
    Map<TopicPartition, OffsetAndMetadata> all = new HashMap<>();
    for (JsonNode n : r.body().get("offsets")) {
      all.put(new TopicPartition(n.get("topic").asText(), n.get("partition").asInt()),
          new OffsetAndMetadata(n.get("offset").asLong(), n.path("metadata").asText("")));
    }
    return all;
  }

  private static ObjectNode partition(TopicPartition tp) {
    return Client.JSON.createObjectNode().put("topic", tp.topic()).put("partition", tp.partition());
  }

  private static List<String> names(JsonNode list) {
    List<String> all = new ArrayList<>();
    list.forEach(n -> all.add(n.asText()));
    return all;
  }

  private static Map<String, String> texts(JsonNode object) {
    Map<String, String> all = new HashMap<>();
    object.fields().forEachRemaining(e -> all.put(e.getKey(), e.getValue().asText()));
    return all;
  }
}
