package understudy.lab.hdfs;

import java.io.File;
import java.net.URI;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.ha.HAServiceProtocol;
import org.apache.hadoop.hdfs.HdfsConfiguration;
import org.apache.hadoop.hdfs.qjournal.server.JournalNode;
import org.apache.hadoop.hdfs.server.datanode.DataNode;
import org.apache.hadoop.hdfs.server.datanode.fsdataset.FsDatasetSpi;
import org.apache.hadoop.hdfs.server.datanode.fsdataset.FsVolumeSpi;
import org.apache.hadoop.hdfs.server.datanode.fsdataset.impl.FsVolumeImpl;
import org.apache.hadoop.hdfs.server.namenode.NameNode;
import org.apache.hadoop.metrics2.lib.DefaultMetricsSystem;
import org.apache.hadoop.security.SecurityUtil;
import org.apache.hadoop.security.UserGroupInformation;

/**
 * Daemons of HDFS in one JVM, each an argument ROLE=DIRECTORY with the role journal, name, active or data, and the directory
 * of its core-site.xml and hdfs-site.xml. They start in that order; DataNodes side by side. "active" is a NameNode of a pair
 * that takes over at once. An empty name directory is formatted first, which is said in a line of its own. With lab.fills a
 * DataNode is full for as long as a file with the name of its directory and ".full" lies beside that.
 */
public final class Server {
  private static final long POLL_MS = 20;
  private static final long FILL_POLL_MS = 100;

  public static void main(String[] args) throws Exception {
    try {
      serve(args);
    } catch (Throwable e) {
      // Some of the started daemons have threads that would keep the process alive.
      e.printStackTrace();
      say("FAILED " + Client.describe(e));
      System.exit(1);
    }
  }

  private static void serve(String[] args) throws Exception {
    // Several daemons of one kind in a JVM would otherwise fight over the names of their metrics.
    DefaultMetricsSystem.setMiniClusterMode(true);
    if (Boolean.getBoolean("lab.symlinks")) {
      FileSystem.enableSymlinks();
    }
    List<Configuration> data = new ArrayList<>();
    for (String arg : args) {
      String[] daemon = arg.split("=", 2);
      Configuration c = read(daemon[1]);
      UserGroupInformation.setConfiguration(c);
      SecurityUtil.setConfiguration(c);
      switch (daemon[0]) {
        case "journal" -> {
          JournalNode n = new JournalNode();
          n.setConf(c);
          n.start();
        }
        case "name" -> name(c);
        case "active" -> name(c).getRpcServer().transitionToActive(
            new HAServiceProtocol.StateChangeRequestInfo(HAServiceProtocol.RequestSource.REQUEST_BY_USER));
        case "data" -> data.add(c);
        default -> throw new IllegalArgumentException("no role " + daemon[0]);
      }
    }
    startAll(data);
    say("READY");
    Thread.currentThread().join();
  }

  private static Configuration read(String directory) {
    Configuration c = new HdfsConfiguration();
    c.addResource(new Path(new File(directory, "core-site.xml").toURI()));
    c.addResource(new Path(new File(directory, "hdfs-site.xml").toURI()));
    return c;
  }

  private static NameNode name(Configuration c) throws Exception {
    File names = new File(URI.create(c.get("dfs.namenode.name.dir")));
    if (!new File(names, "current/VERSION").exists()) {
      NameNode.format(c);
      say("FORMATTED");
    }
    return NameNode.createNameNode(new String[0], c);
  }

  private static void startAll(List<Configuration> all) throws Exception {
    if (all.isEmpty()) {
      return;
    }
    ExecutorService pool = Executors.newFixedThreadPool(all.size());
    List<Callable<Void>> starts = new ArrayList<>();
    for (Configuration c : all) {
      starts.add(() -> {
        DataNode node = DataNode.createDataNode(new String[0], c);
        while (!node.isDatanodeFullyStarted()) {
          Thread.sleep(POLL_MS);
        }
        if (Boolean.getBoolean("lab.fills")) {
          Thread t = new Thread(() -> fill(node, new File(URI.create(c.get("dfs.datanode.data.dir") + ".full"))), "lab-fill");
          t.setDaemon(true);
          t.start();
        }
        return null;
      });
    }
    for (Future<Void> f : pool.invokeAll(starts)) {
      f.get();
    }
    pool.shutdown();
  }

  /** Lets the volumes of a DataNode have no room while the file is there. What they hold stays readable. */
  private static void fill(DataNode node, File full) {
    boolean was = false;
    try {
      for (; ; Thread.sleep(FILL_POLL_MS)) {
        boolean now = full.exists();
        if (now == was) {
          continue;
        }
        try (FsDatasetSpi.FsVolumeReferences all = node.getFSDataset().getFsVolumeReferences()) {
          for (FsVolumeSpi v : all) {
            // Less than nothing means: what the file system says.
            ((FsVolumeImpl) v).setCapacityForTesting(now ? 0 : -1);
          }
        }
        was = now;
      }
    } catch (Exception e) {
      e.printStackTrace();
    }
  }

  private static void say(String line) {
    System.out.println("lab: " + line);
    System.out.flush();
  }
}
