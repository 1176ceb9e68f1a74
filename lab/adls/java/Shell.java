package understudy.lab.adls;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FsShell;
import org.apache.hadoop.util.ToolRunner;

/**
 * Hadoop's FsShell, driven over standard input: one JSON request per line with an id, a configuration and the arguments of one command,
 * answered by a line with what it printed and a last one with "done" or "error". One at a time; end of input ends the process.
 */
public final class Shell {
  private static final ObjectMapper JSON = new ObjectMapper();
  // Nothing else may print on standard output: loggers write to standard error.
  private static final PrintStream OUT = new PrintStream(new FileOutputStream(FileDescriptor.out), false, StandardCharsets.UTF_8);

  public static void main(String[] args) throws IOException {
    System.setOut(System.err);
    BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line = in.readLine(); line != null; line = in.readLine()) {
      JsonNode request = JSON.readTree(line);
      ObjectNode last = JSON.createObjectNode();
      try {
        run(request);
        last.put("done", true);
      } catch (Exception e) {
        last.put("error", e.getClass().getSimpleName() + ": " + e.getMessage());
      }
      reply(request, last);
    }
  }

  private static void run(JsonNode request) throws Exception {
    Configuration c = new Configuration();
    request.get("config").fields().forEachRemaining(p -> c.set(p.getKey(), p.getValue().asText()));
    List<String> arguments = new ArrayList<>();
    request.get("args").forEach(a -> arguments.add(a.asText()));
    ByteArrayOutputStream said = new ByteArrayOutputStream();
    PrintStream capture = new PrintStream(said, true, StandardCharsets.UTF_8);
    PrintStream out = System.out;
    PrintStream err = System.err;
    System.setOut(capture);
    System.setErr(capture);
    int status;
    try {
      status = ToolRunner.run(c, new FsShell(), arguments.toArray(new String[0]));
    } finally {
      System.setOut(out);
      System.setErr(err);
    }
    String text = said.toString(StandardCharsets.UTF_8);
    if (status != 0) {
      throw new IOException("status " + status + ": " + text.strip().replace('\n', ' '));
    }
    ObjectNode line = JSON.createObjectNode();
    line.put("text", text);
    reply(request, line);
  }

  private static void reply(JsonNode request, ObjectNode line) {
    line.put("id", request.get("id").asLong());
    OUT.println(line);
    OUT.flush();
  }
}
