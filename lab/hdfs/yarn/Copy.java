package understudy.lab.yarn;

import java.lang.management.ManagementFactory;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.tools.DistCp;
import org.apache.hadoop.util.ToolRunner;

/** Runs DistCp as it is, and says how it ended and what that took without the start of the JVM. */
public final class Copy {
  public static void main(String[] args) throws Exception {
    long start = System.nanoTime();
    long cpu = cpu();
    Configuration c = new Configuration();
    int status = ToolRunner.run(c, new DistCp(c, null), args);
    System.out.println("lab: ENDED status " + status + " ns " + (System.nanoTime() - start) + " cpu " + (cpu() - cpu));
    System.out.flush();
    System.exit(status == 0 ? 0 : 1);
  }

  private static long cpu() {
    return ((com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean()).getProcessCpuTime();
  }
}
