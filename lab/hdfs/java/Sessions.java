package understudy.lab.hdfs;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.OutputStream;
import java.net.URI;
import java.security.PrivilegedExceptionAction;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.hdfs.DistributedFileSystem;
import org.apache.hadoop.hdfs.HdfsConfiguration;
import org.apache.hadoop.security.SecurityUtil;
import org.apache.hadoop.security.UserGroupInformation;

/** The connections to clusters as users, and the files that are held open. */
final class Sessions {
  private final Map<String, Session> open = new ConcurrentHashMap<>();
  private final Map<String, OutputStream> held = new ConcurrentHashMap<>();

  /** What is done on a file system. */
  interface Action<T> {
    T on(DistributedFileSystem fs) throws Exception;
  }

  /** A file system as one user. */
  record Session(UserGroupInformation user, DistributedFileSystem fs) {
    <T> T as(Action<T> action) throws Exception {
      return user.doAs((PrivilegedExceptionAction<T>) () -> action.on(fs));
    }
  }

  Map<String, OutputStream> held() {
    return held;
  }

  Session of(Client.Request r) throws Exception {
    String key = r.text("user") + " " + r.text("keytab") + " " + r.body().path("config");
    Session s = open.get(key);
    if (s != null) {
      return s;
    }
    synchronized (this) {
      if (!open.containsKey(key)) {
        open.put(key, connect(r));
      }
      return open.get(key);
    }
  }

  static Configuration configuration(JsonNode properties) {
    Configuration c = new HdfsConfiguration();
    properties.fields().forEachRemaining(p -> c.set(p.getKey(), p.getValue().asText()));
    c.setBoolean("fs.hdfs.impl.disable.cache", true);
    // A NameNode that was killed and is back is asked again: what the caller wants to see is the cluster, not the connection. Of a pair the other
    // one is asked, which this patience would put off for minutes.
    if (c.get("dfs.nameservices") == null) {
      c.setBoolean("dfs.client.retry.policy.enabled", true);
      c.set("dfs.client.retry.policy.spec", "100,50,1000,120");
    }
    return c;
  }

  private static Session connect(Client.Request r) throws Exception {
    Configuration c = configuration(r.body().path("config"));
    UserGroupInformation user = login(c, r);
    URI uri = FileSystem.getDefaultUri(c);
    return new Session(user, user.doAs((PrivilegedExceptionAction<DistributedFileSystem>) () -> (DistributedFileSystem) FileSystem.get(uri, c)));
  }

  /** Logs in with a keytab where there is one. Security is a setting of the whole JVM: only a secure cluster switches it on. */
  static UserGroupInformation login(Configuration c, Client.Request r) throws Exception {
    if (r.text("keytab").isEmpty()) {
      return UserGroupInformation.createRemoteUser(r.text("user"));
    }
    UserGroupInformation.setConfiguration(c);
    SecurityUtil.setConfiguration(c);
    return UserGroupInformation.loginUserFromKeytabAndReturnUGI(r.text("user"), r.text("keytab"));
  }
}
