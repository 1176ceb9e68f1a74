package understudy.lab.hdfs;

import com.fasterxml.jackson.databind.node.ObjectNode;
import org.apache.hadoop.hdfs.DFSClient;
import org.apache.hadoop.hdfs.DFSInotifyEventInputStream;
import org.apache.hadoop.hdfs.DistributedFileSystem;
import org.apache.hadoop.hdfs.inotify.Event;
import org.apache.hadoop.hdfs.inotify.EventBatch;

/** What happened in the name space, from the NameNode's own log of edits (inotify; only the super user may read it). */
final class Events {
  private static final long POLL_MS = 20;
  /** How long the edits up to now may stay hidden: those of a pair can be read when their segment is closed. */
  private static final long PATIENCE_MS = 120_000;

  private Events() {}

  static void run(DistributedFileSystem fs, Client.Request r) throws Exception {
    DFSClient c = fs.getClient();
    long now = c.getNamenode().getCurrentEditLogTxid();
    if (r.verb().equals("txid")) {
      ObjectNode n = Client.JSON.createObjectNode();
      n.put("txid", now);
      r.reply(n);
      return;
    }
    long since = r.number("since");
    DFSInotifyEventInputStream in = c.getInotifyEventStream(since);
    long deadline = System.currentTimeMillis() + PATIENCE_MS;
    // Not every edit makes an event, so the estimate of what is still unread decides about the end.
    while (since < now) {
      EventBatch batch = in.poll();
      if (batch == null && in.getTxidsBehindEstimate() <= 0) {
        return;
      }
      if (batch == null) {
        if (System.currentTimeMillis() > deadline) {
          throw new IllegalStateException("edits up to " + now + " cannot be read yet");
        }
        Thread.sleep(POLL_MS);
        continue;
      }
      for (Event e : batch.getEvents()) {
        r.reply("event", json(batch.getTxid(), e));
      }
    }
  }

  private static ObjectNode json(long txid, Event event) {
    ObjectNode n = Client.JSON.createObjectNode();
    n.put("txid", txid).put("type", event.getEventType().name().toLowerCase(java.util.Locale.ROOT));
    if (event instanceof Event.CreateEvent e) {
      n.put("path", e.getPath()).put("time", e.getCtime()).put("overwrite", e.getOverwrite());
    } else if (event instanceof Event.CloseEvent e) {
      n.put("path", e.getPath()).put("time", e.getTimestamp()).put("length", e.getFileSize());
    } else if (event instanceof Event.AppendEvent e) {
      n.put("path", e.getPath());
    } else if (event instanceof Event.RenameEvent e) {
      n.put("path", e.getSrcPath()).put("to", e.getDstPath()).put("time", e.getTimestamp());
    } else if (event instanceof Event.MetadataUpdateEvent e) {
      n.put("path", e.getPath()).put("what", e.getMetadataType().name().toLowerCase(java.util.Locale.ROOT));
    } else if (event instanceof Event.UnlinkEvent e) {
      n.put("path", e.getPath()).put("time", e.getTimestamp());
    } else if (event instanceof Event.TruncateEvent e) {
      n.put("path", e.getPath()).put("length", e.getFileSize()).put("time", e.getTimestamp());
    }
    return n;
  }
}
