package understudy.lab.hdfs;

import com.fasterxml.jackson.databind.node.ObjectNode;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.hdfs.DFSClient;
import org.apache.hadoop.hdfs.DFSUtilClient;
import org.apache.hadoop.hdfs.DistributedFileSystem;
import org.apache.hadoop.hdfs.protocol.SnapshotDiffReport;

/** Snapshots, and what lies between two of them. */
final class Snapshots {
  private Snapshots() {}

  static void run(DistributedFileSystem fs, Client.Request r) throws Exception {
    DFSClient c = fs.getClient();
    String path = r.text("path");
    switch (r.verb()) {
      case "allow-snapshots" -> c.allowSnapshot(path);
      case "disallow-snapshots" -> c.disallowSnapshot(path);
      case "create-snapshot" -> c.createSnapshot(path, r.text("name"));
      case "delete-snapshot" -> c.deleteSnapshot(path, r.text("name"));
      case "rename-snapshot" -> c.renameSnapshot(path, r.text("name"), r.text("to"));
      default -> {
        for (SnapshotDiffReport.DiffReportEntry e : fs.getSnapshotDiffReport(new Path(path), r.text("name"), r.text("to")).getDiffList()) {
          ObjectNode n = Client.JSON.createObjectNode();
          n.put("type", e.getType().name().toLowerCase(java.util.Locale.ROOT));
          n.put("path", DFSUtilClient.bytes2String(e.getSourcePath()));
          if (e.getTargetPath() != null) {
            n.put("to", DFSUtilClient.bytes2String(e.getTargetPath()));
          }
          r.reply("change", n);
        }
      }
    }
  }
}
