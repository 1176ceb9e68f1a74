package understudy.lab.hdfs;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.security.PrivilegedExceptionAction;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.crypto.key.KeyShell;
import org.apache.hadoop.hdfs.tools.CryptoAdmin;
import org.apache.hadoop.hdfs.tools.DFSAdmin;
import org.apache.hadoop.hdfs.tools.DFSHAAdmin;
import org.apache.hadoop.hdfs.tools.ECAdmin;
import org.apache.hadoop.hdfs.tools.StoragePolicyAdmin;
import org.apache.hadoop.util.Tool;
import org.apache.hadoop.util.ToolRunner;

/** Hadoop's own command line tools, one at a time because they print to the standard output of the process. */
final class Tools {
  private Tools() {}

  static synchronized void run(Client.Request r) throws Exception {
    Configuration c = Sessions.configuration(r.body().path("config"));
    ByteArrayOutputStream said = new ByteArrayOutputStream();
    PrintStream capture = new PrintStream(said, true, StandardCharsets.UTF_8);
    PrintStream out = System.out;
    PrintStream err = System.err;
    System.setOut(capture);
    System.setErr(capture);
    int status;
    try {
      status = Sessions.login(c, r).doAs((PrivilegedExceptionAction<Integer>) () ->
          ToolRunner.run(c, tool(r.text("tool"), c), Names.texts(r.body().get("args"))));
    } finally {
      System.setOut(out);
      System.setErr(err);
    }
    String text = said.toString(StandardCharsets.UTF_8);
    if (status != 0) {
      throw new IllegalStateException("status " + status + ": " + text.strip().replace('\n', ' '));
    }
    ObjectNode n = Client.JSON.createObjectNode();
    n.put("text", text);
    r.reply(n);
  }

  private static Tool tool(String name, Configuration c) {
    return switch (name) {
      case "crypto" -> new CryptoAdmin(c);
      case "key" -> new KeyShell();
      case "dfsadmin" -> new DFSAdmin(c);
      case "haadmin" -> new DFSHAAdmin();
      case "ec" -> new ECAdmin(c);
      case "storagepolicies" -> new StoragePolicyAdmin(c);
      default -> throw new IllegalArgumentException("no tool " + name);
    };
  }
}
