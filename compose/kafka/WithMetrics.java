import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Starts the JMX exporter in this JVM, and then what has to be run. As an agent (-javaagent) it does the same, but every
 * class then passes a hook that looks for agents' changes, also those of the class archive.
 */
public final class WithMetrics {
    /** How long to wait for ZooKeeper; after that, it is the broker that waits. */
    private static final long PATIENCE_MS = 40_000;
    /** How long the other servers may take when the first one serves: they start together, or are not there. */
    private static final long OTHERS_MS = 500;
    private static final int ASK_MS = 200;
    /** Between two looks; a server that just starts has better things to do than to answer. */
    private static final long PAUSE_MS = 200;

    private WithMetrics() {}

    /** Takes what -javaagent takes (PORT:RULES), a class, and its arguments. */
    public static void main(String[] arguments) throws Exception {
        io.prometheus.jmx.JavaAgent.premain(arguments[0], null);
        String zookeepers = System.getenv("KAFKA_ZOOKEEPER_CONNECT");
        if (zookeepers != null) {
            awaitZooKeeper(zookeepers.replaceFirst("/.*", "").split(","));
        }
        String[] rest = Arrays.copyOfRange(arguments, 2, arguments.length);
        Class.forName(arguments[1]).getMethod("main", String[].class).invoke(null, (Object) rest);
    }

    /** A client that was refused once waits for up to a second before it asks again, while a lab starts in a few. */
    private static void awaitZooKeeper(String[] servers) throws InterruptedException {
        List<String> silent = new ArrayList<>(Arrays.asList(servers));
        long deadline = System.currentTimeMillis() + PATIENCE_MS;
        while (!silent.isEmpty() && System.currentTimeMillis() < deadline) {
            if (silent.removeIf(WithMetrics::serves)) {
                deadline = Math.min(deadline, System.currentTimeMillis() + OTHERS_MS);
            } else {
                Thread.sleep(PAUSE_MS); // between two looks, which the deadline ends
            }
        }
    }

    private static boolean serves(String server) {
        int colon = server.lastIndexOf(':');
        try (Socket socket = new Socket()) {
            int port = Integer.parseInt(server.substring(colon + 1).trim());
            socket.connect(new InetSocketAddress(server.substring(0, colon).trim(), port), ASK_MS);
            socket.setSoTimeout(ASK_MS);
            socket.getOutputStream().write("srvr".getBytes(StandardCharsets.US_ASCII));
            byte[] answer = socket.getInputStream().readAllBytes();
            return new String(answer, StandardCharsets.US_ASCII).contains("Mode:");
        } catch (IOException | RuntimeException notYet) {
            return false;
        }
    }
}
