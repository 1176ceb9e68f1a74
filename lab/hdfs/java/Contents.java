package understudy.lab.hdfs;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.InputStream;
import java.io.OutputStream;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.apache.hadoop.fs.CreateFlag;
import org.apache.hadoop.fs.Syncable;
import org.apache.hadoop.fs.permission.FsPermission;
import org.apache.hadoop.hdfs.DFSClient;
import org.apache.hadoop.hdfs.DistributedFileSystem;

/** Writing and reading of files. */
final class Contents {
  /** Files that are written side by side; more only makes the servers slower. */
  private static final int WRITERS = 8;
  private static final int BUFFER = 1 << 16;

  private Contents() {}

  static void run(DistributedFileSystem fs, Sessions sessions, Client.Request r) throws Exception {
    DFSClient c = fs.getClient();
    switch (r.verb()) {
      case "put" -> put(c, r.body().get("files"));
      case "hold" -> {
        OutputStream out = create(c, r.body().get("file"));
        write(out, r.body().get("file"));
        ((Syncable) out).hflush();
        sessions.held().put(r.text("session"), out);
      }
      case "release" -> sessions.held().remove(r.text("session")).close();
      case "read" -> read(c, r);
      default -> throw new IllegalArgumentException("unknown request " + r.verb());
    }
  }

  private static void put(DFSClient c, JsonNode files) throws Exception {
    ExecutorService pool = Executors.newFixedThreadPool(Math.max(1, Math.min(WRITERS, files.size())));
    try {
      List<Callable<Void>> writes = new ArrayList<>();
      for (JsonNode file : files) {
        writes.add(() -> {
          try (OutputStream out = create(c, file)) {
            write(out, file);
          }
          return null;
        });
      }
      for (Future<Void> f : pool.invokeAll(writes)) {
        f.get();
      }
    } finally {
      pool.shutdownNow();
    }
  }

  private static OutputStream create(DFSClient c, JsonNode file) throws Exception {
    String path = file.get("path").asText();
    if (file.path("append").asBoolean()) {
      return c.append(path, BUFFER, EnumSet.of(CreateFlag.APPEND), null, null);
    }
    long replication = file.path("replication").asLong();
    long block = file.path("blockSize").asLong();
    return c.create(path, new FsPermission((short) 0644), EnumSet.of(CreateFlag.CREATE, CreateFlag.OVERWRITE), true,
        replication == 0 ? c.getConf().getDefaultReplication() : (short) replication,
        block == 0 ? c.getConf().getDefaultBlockSize() : block, null, BUFFER, null);
  }

  /** Writes the bytes given, and then as many as asked for of the sequence that a seed makes. */
  private static void write(OutputStream out, JsonNode file) throws Exception {
    if (file.hasNonNull("data")) {
      out.write(file.get("data").binaryValue());
    }
    Random random = new Random(file.path("seed").asLong());
    byte[] chunk = new byte[BUFFER];
    for (long left = file.path("size").asLong(); left > 0; left -= chunk.length) {
      random.nextBytes(chunk);
      out.write(chunk, 0, (int) Math.min(left, chunk.length));
    }
  }

  private static void read(DFSClient c, Client.Request r) throws Exception {
    try (InputStream in = c.open(r.text("path"))) {
      byte[] chunk = new byte[BUFFER];
      for (int n = in.read(chunk); n > 0; n = in.read(chunk)) {
        ObjectNode line = Client.JSON.createObjectNode();
        line.put("data", java.util.Arrays.copyOf(chunk, n));
        r.reply(line);
      }
    }
  }
}
