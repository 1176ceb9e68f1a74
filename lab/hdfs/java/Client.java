package understudy.lab.hdfs;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.UndeclaredThrowableException;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.ExecutionException;
import org.apache.hadoop.ipc.RemoteException;

/**
 * Hadoop's own client, driven over standard input: one JSON request per line, each with an id, answered by lines with that
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
    // Open files stay as they are: a shutdown hook of Hadoop would close them, and a killed writer does not.
    Runtime.getRuntime().exit(0);
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
      case "tool" -> Tools.run(r);
      default -> sessions.of(r).as(fs -> {
        switch (r.verb()) {
          case "put", "hold", "release", "read" -> Contents.run(fs, sessions, r);
          case "dump" -> Tree.run(fs, r);
          case "txid", "events" -> Events.run(fs, r);
          case "allow-snapshots", "disallow-snapshots", "create-snapshot", "delete-snapshot", "rename-snapshot", "snapshot-diff" ->
              Snapshots.run(fs, r);
          default -> Names.run(fs, r);
        }
        return null;
      });
    }
  }

  /** The class and message of an error, without wrappers, so that a caller can look for the name, and its cause. */
  static String describe(Throwable e) {
    while (e.getCause() != null && (e instanceof ExecutionException || e instanceof UndeclaredThrowableException || e.getMessage() == null)) {
      e = e.getCause();
    }
    String name = e.getClass().getSimpleName();
    if (e instanceof RemoteException remote) {
      name = remote.getClassName().replaceAll(".*[.$]", "");
    }
    String line = name + ": " + String.valueOf(e.getMessage()).lines().findFirst().orElse("");
    // What the client makes of a server's exception has that as its cause and says the same.
    return e.getCause() == null || e.getCause() instanceof RemoteException ? line : line + ", by " + describe(e.getCause());
  }

  /** One request and the way to answer it. */
  record Request(JsonNode body) {
    long id() {
      return body.get("id").asLong();
    }

    String verb() {
      return body.get("do").asText();
    }

    boolean has(String name) {
      return body.hasNonNull(name);
    }

    String text(String name) {
      return has(name) ? body.get(name).asText() : "";
    }

    long number(String name) {
      return body.path(name).asLong();
    }

    boolean flag(String name) {
      return body.path(name).asBoolean();
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
