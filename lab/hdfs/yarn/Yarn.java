package understudy.lab.yarn;

import java.io.File;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.ha.HAServiceProtocol.RequestSource;
import org.apache.hadoop.ha.HAServiceProtocol.StateChangeRequestInfo;
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
 * addresses. One of a pair, whose id is the property lab.rm, becomes active when the file of its name appears in the directory lab.active.
 */
public final class Yarn {
  public static void main(String[] daemons) throws Exception {
    try {
      DefaultMetricsSystem.setMiniClusterMode(true);
      Service last = null;
      for (String name : daemons) {
        last = daemon(name);
        last.init(configuration());
        last.start();
      }
      System.out.println("lab: READY");
      System.out.flush();
      if (System.getProperty("lab.rm") != null) {
        activate((ResourceManager) last);
      }
    } catch (Throwable e) {
      e.printStackTrace();
      System.out.println("lab: FAILED " + e);
      System.exit(1);
    }
    Thread.currentThread().join();
  }

  private static Configuration configuration() {
    Configuration c = new YarnConfiguration(new JobConf());
    if (System.getProperty("lab.rm") != null) {
      c.set(YarnConfiguration.RM_HA_ID, System.getProperty("lab.rm"));
    }
    return c;
  }

  private static void activate(ResourceManager rm) throws Exception {
    File wanted = new File(System.getProperty("lab.active"), System.getProperty("lab.rm"));
    while (!wanted.exists()) {
      Thread.sleep(50);
    }
    rm.getRMContext().getRMAdminService().transitionToActive(new StateChangeRequestInfo(RequestSource.REQUEST_BY_USER_FORCED));
    System.out.println("lab: ACTIVE");
    System.out.flush();
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
