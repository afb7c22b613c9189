# javac and Maven, the local repository in the recording's own folder.
mvn='mvn --version' javac='javac --version'
export MAVEN_OPTS="-Dmaven.repo.local=$root/maven -Dorg.slf4j.simpleLogger.log.org.apache.maven.cli.transfer.Slf4jMavenTransferListener=warn"
project() {
  fresh; mkdir -p src/main/java/shop src/test/java/shop
  cat >pom.xml <<F
<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>shop</groupId><artifactId>price</artifactId><version>1.0</version>
<properties><maven.compiler.source>17</maven.compiler.source><maven.compiler.target>17</maven.compiler.target><project.build.sourceEncoding>UTF-8</project.build.sourceEncoding></properties>
<dependencies><dependency><groupId>junit</groupId><artifactId>junit</artifactId><version>4.13.2</version><scope>test</scope></dependency>$1</dependencies></project>
F
  printf 'package shop;\n\npublic class Price {\n  public static double gross(double net) {\n    return net * 1.2;\n  }\n}\n' >src/main/java/shop/Price.java
}
project ''; sed -i '/maven.compiler/s/17/5/g' pom.xml
record mvn-source-option mvn "$mvn" <<<'mvn -B compile'
project ''; printf 'package shop;\n\npublic class Cart {\n  int total() {\n    return Prices.gross(1);\n  }\n  String name() { return 1; }\n}\n' >src/main/java/shop/Cart.java
record mvn-compile mvn "$mvn" <<<'mvn -B compile'
project '<dependency><groupId>shop</groupId><artifactId>tax-rules</artifactId><version>9.9</version></dependency>'
record mvn-artifact-missing mvn "$mvn" <<<'mvn -B compile'
project ''; printf 'package shop;\n\nimport org.junit.Assert;\nimport org.junit.Test;\n\npublic class PriceTest {\n  @Test\n  public void addsTax() { Assert.assertEquals(119.0, Price.gross(100), 0.001); }\n}\n' >src/test/java/shop/PriceTest.java
record mvn-test mvn "$mvn" <<<'mvn -B test'
fresh; printf 'class Cart {\n  int total() { return price; }\n}\n' >Cart.java
record javac-compile javac "$javac" <<<'javac Cart.java'
fresh; printf 'import java.util.*;\nclass Grow {\n  public static void main(String[] a) { List<long[]> l = new ArrayList<>(); for (;;) l.add(new long[100000]); }\n}\n' >Grow.java
record java-heap java "$javac" <<<'java -Xmx24m Grow.java'
