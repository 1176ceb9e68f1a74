package understudy.lab.yarn;

import org.apache.hadoop.mapred.JobConf;
import org.apache.hadoop.mapreduce.v2.hs.JobHistoryServer;
import org.apache.hadoop.metrics2.lib.DefaultMetricsSystem;
import org.apache.hadoop.service.Service;
import org.apache.hadoop.yarn.conf.YarnConfiguration;
import org.apache.hadoop.yarn.server.nodemanager.NodeManager;
import org.apache.hadoop.yarn.server.resourcemanager.ResourceManager;

/**
 * Daemons of YARN in one JVM, by the names rm, nm and hs; their configuration is on the class path. The ResourceManager needs a
 * JVM of its own: the web framework keeps one static filter per process, and the last application to start takes over the others'
 * addresses.
 */
public final class Yarn {
  public static void main(String[] daemons) throws Exception {
    try {
      DefaultMetricsSystem.setMiniClusterMode(true);
      for (String name : daemons) {
        Service s = daemon(name);
        s.init(new YarnConfiguration(new JobConf()));
        s.start();
      }
      System.out.println("lab: READY");
      System.out.flush();
    } catch (Throwable e) {
      e.printStackTrace();
      System.out.println("lab: FAILED " + e);
      System.exit(1);
    }
    Thread.currentThread().join();
  }

  private static Service daemon(String name) {
    return switch (name) {
      case "rm" -> new ResourceManager();
      case "nm" -> new NodeManager();
      case "hs" -> new JobHistoryServer();
      default -> throw new IllegalArgumentException("no daemon " + name);
    };
  }
}
