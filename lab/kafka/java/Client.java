package understudy.lab;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.Properties;

/**
 * Kafka's own client, driven over standard input: one JSON request per line, each with an id, answered by lines with that
 * id, the last of which has "done" or "error". Requests run side by side; end of input ends the process.
 */
public final class Client {
  static final ObjectMapper JSON = new ObjectMapper();
  // Nothing else may print on standard output: loggers write to standard error.
  private static final PrintStream OUT = new PrintStream(new FileOutputStream(FileDescriptor.out), false, StandardCharsets.UTF_8);

  public static void main(String[] args) throws IOException {
    System.setOut(System.err);
    Sessions sessions = new Sessions();
    BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line = in.readLine(); line != null; line = in.readLine()) {
      Request r = new Request(JSON.readTree(line));
      Thread t = new Thread(() -> answer(sessions, r), r.verb() + "-" + r.id());
      t.setDaemon(true);
      t.start();
    }
    System.exit(0);
  }

  private static void answer(Sessions sessions, Request r) {
    ObjectNode last = JSON.createObjectNode();
    try {
      perform(sessions, r);
      last.put("done", true);
    } catch (Throwable e) {
      last.put("error", describe(e));
    }
    r.reply(last);
  }

  private static void perform(Sessions sessions, Request r) throws Exception {
    switch (r.verb()) {
      case "dump" -> Dump.run(r);
      case "producer" -> sessions.open(r);
      case "begin", "commit", "abort", "close" -> sessions.control(r);
      case "send" -> sessions.send(r);
      case "load" -> sessions.load(r);
      case "member" -> Member.run(sessions, r);
      case "stop" -> sessions.stop(r.text("session"));
      case "create-topics", "delete-topics", "delete-records", "set-configs", "configs",
          "set-offsets", "offsets", "create-acls", "acls" -> Admins.run(r);
      default -> throw new IllegalArgumentException("unknown request " + r.verb());
    }
  }

  /** The class and message of an error, without the wrappers of futures, so that a caller can look for the name, and its cause. */
  static String describe(Throwable e) {
    while (e.getCause() != null && (e instanceof java.util.concurrent.ExecutionException || e.getMessage() == null)) {
      e = e.getCause();
    }
    String line = e.getClass().getSimpleName() + ": " + e.getMessage();
    return e.getCause() == null ? line : line + ", by " + describe(e.getCause());
  }

  /** One request and the way to answer it. */
  record Request(JsonNode body) {
    long id() {
      return body.get("id").asLong();
    }

    String verb() {
      return body.get("do").asText();
    }

    String text(String name) {
      JsonNode n = body.get(name);
      return n == null || n.isNull() ? "" : n.asText();
    }

    /** The properties of a Kafka client: those that were sent, over the bootstrap address. */
    Properties config() {
      Properties p = new Properties();
      body.path("config").fields().forEachRemaining(e -> p.put(e.getKey(), e.getValue().asText()));
      return p;
    }

    void reply(ObjectNode line) {
      line.put("id", id());
      synchronized (OUT) {
        OUT.println(line);
        OUT.flush();
      }
    }

    void reply(String name, JsonNode value) {
      ObjectNode line = JSON.createObjectNode();
      line.set(name, value);
      reply(line);
    }
  }
}
