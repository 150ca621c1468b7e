"""One data model that uses what the language has, as XML and as JSON: both must be read as the same."""

from __future__ import annotations

XML = b"""<?xml version="1.0" encoding="utf-8"?>
<edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx">
 <edmx:Reference Uri="https://docs.example/RESO.xml"><edmx:Include Namespace="RESO" Alias="R"/></edmx:Reference>
 <edmx:DataServices>
  <Schema Namespace="org.lake" Alias="lake" xmlns="http://docs.oasis-open.org/odata/ns/edm">
   <EntityType Name="Thing" Abstract="true"><Key><PropertyRef Name="Id"/></Key>
    <Property Name="Id" Type="Edm.String" Nullable="false" MaxLength="20"/>
    <Property Name="ModificationTimestamp" Type="Edm.DateTimeOffset" Precision="7"/>
   </EntityType>
   <EntityType Name="Listing" BaseType="lake.Thing" OpenType="true">
    <Property Name="Price" Type="lake.Money"/>
    <Property Name="Status" Type="lake.Status"><Annotation Term="RESO.OData.Metadata.StandardName"><String>State
      of the sale</String></Annotation></Property>
    <Property Name="Pets" Type="Collection(Edm.String)">
     <Annotation Term="RESO.OData.Metadata.LookupName" String="PetsAllowed"/>
     <Annotation Term="Core.Description" String="Which animals"/>
    </Property>
    <Property Name="Address" Type="lake.Address"/>
    <Property Name="b__UG9vbA--" Type="Edm.Boolean"/>
    <NavigationProperty Name="Photos" Type="Collection(lake.Photo)"/>
   </EntityType>
   <EntityType Name="Photo" BaseType="org.lake.Thing"><Property Name="Order" Type="Edm.Int32"/></EntityType>
   <ComplexType Name="Address"><Property Name="City" Type="Edm.String" MaxLength="max"/></ComplexType>
   <TypeDefinition Name="Money" UnderlyingType="Edm.Decimal"/>
   <EnumType Name="Status"><Member Name="Active" Value="0"/>
    <Member Name="b__UGVuZGluZw--" Value="1"><Annotation Term="X.StandardName" String="Pending"/></Member></EnumType>
   <Annotations Target="lake.Listing/b__UG9vbA--"><Annotation Term="X.DisplayName" String="Pool"/></Annotations>
   <EntityContainer Name="C"><EntitySet Name="Listings" EntityType="lake.Listing"/>
    <EntitySet Name="Photos" EntityType="lake.Photo"/><Singleton Name="Me" Type="lake.Thing"/></EntityContainer>
  </Schema>
 </edmx:DataServices>
</edmx:Edmx>"""

JSON = b"""{"$Version": "4.01", "$EntityContainer": "org.lake.C", "org.lake": {
 "$Alias": "lake",
 "Thing": {"$Kind": "EntityType", "$Abstract": true, "$Key": ["Id"], "Id": {"$MaxLength": 20},
  "ModificationTimestamp": {"$Type": "Edm.DateTimeOffset", "$Nullable": true, "$Precision": 7}},
 "Listing": {"$Kind": "EntityType", "$BaseType": "lake.Thing", "$OpenType": true,
  "Price": {"$Type": "lake.Money", "$Nullable": true},
  "Status": {"$Type": "lake.Status", "$Nullable": true,
   "@RESO.OData.Metadata.StandardName": "State\\n      of the sale"},
  "Pets": {"$Collection": true, "$Nullable": true, "@RESO.OData.Metadata.LookupName": "PetsAllowed",
   "@Core.Description": "Which animals"},
  "Address": {"$Type": "lake.Address", "$Nullable": true},
  "b__UG9vbA--": {"$Type": "Edm.Boolean", "$Nullable": true},
  "Photos": {"$Kind": "NavigationProperty", "$Collection": true, "$Type": "lake.Photo"}},
 "Photo": {"$Kind": "EntityType", "$BaseType": "org.lake.Thing", "Order": {"$Type": "Edm.Int32", "$Nullable": true}},
 "Address": {"$Kind": "ComplexType", "City": {"$Nullable": true}},
 "Money": {"$Kind": "TypeDefinition", "$UnderlyingType": "Edm.Decimal"},
 "Status": {"$Kind": "EnumType", "Active": 0, "b__UGVuZGluZw--": 1, "b__UGVuZGluZw--@X.StandardName": "Pending"},
 "$Annotations": {"lake.Listing/b__UG9vbA--": {"@X.DisplayName": "Pool"}},
 "C": {"$Kind": "EntityContainer", "Listings": {"$Collection": true, "$Type": "lake.Listing"},
  "Photos": {"$Collection": true, "$Type": "lake.Photo"}, "Me": {"$Type": "lake.Thing"}}}}"""
